"""Memory profiles as data: each fits the card it is picked for."""

from itertools import pairwise

import pytest

from editing.estimates import FLUX1_DEV, needed_bytes
from editing.memory import (
    CREWS,
    LAYOUTS,
    MemoryProfile,
    Part,
    Waiting,
    WeightFormat,
    checkpoints_kept,
    pick_profile,
    reason_of,
)

CARDS = [profile for profile in MemoryProfile if profile is not MemoryProfile.CPU]


@pytest.mark.parametrize("profile", CARDS)
def test_flux_with_a_controlnet_fits_the_smallest_card_that_each_profile_is_picked_for(profile: MemoryProfile) -> None:
    assert needed_bytes(profile, FLUX1_DEV) < LAYOUTS[profile].least_bytes


def test_each_smaller_profile_takes_less_and_needs_to() -> None:
    needed = [needed_bytes(profile, FLUX1_DEV) for profile in CARDS]
    assert needed == sorted(needed, reverse=True)
    for profile, smaller in pairwise(CARDS):
        assert needed_bytes(profile, FLUX1_DEV) > LAYOUTS[smaller].least_bytes * 0.9


def test_a_profile_that_holds_too_much_would_be_noticed() -> None:
    twice = FLUX1_DEV | {Part.CONTROLNET: 9 * FLUX1_DEV[Part.CONTROLNET]}
    for profile in (MemoryProfile.GB48, MemoryProfile.GB24, MemoryProfile.GB16, MemoryProfile.GB12):
        assert needed_bytes(profile, twice) > LAYOUTS[profile].least_bytes


# What cards of these names report: error correction and the driver take their part.
@pytest.mark.parametrize(
    ("gigabytes", "profile"),
    [
        (150.1, "48gb"),
        (48.3, "48gb"),
        (42.4, "24gb"),
        (25.4, "24gb"),
        (23.7, "24gb"),
        (17.1, "16gb"),
        (15.6, "16gb"),
        (12.8, "12gb"),
        (11.7, "12gb"),
        (8.5, "8gb"),
        (6.2, "8gb"),
        (4.1, "cpu"),
        (None, "cpu"),
    ],
)
def test_the_profile_is_picked_from_what_the_card_reports(gigabytes: float | None, profile: str) -> None:
    assert pick_profile(None if gigabytes is None else round(gigabytes * 1e9)) == profile


def test_without_the_library_for_int4_a_profile_that_needs_none_is_picked_and_the_reason_says_so() -> None:
    picked = pick_profile(17_100_000_000, quantiser=False)
    assert picked is MemoryProfile.GB8
    reason = reason_of(picked, "cuda:0", 17_100_000_000, quantiser=False)
    assert "17.1 GB" in reason
    assert "16gb would fit" in reason
    assert "bitsandbytes" in reason
    assert "bitsandbytes" not in reason_of(pick_profile(25_400_000_000), "cuda:0", 25_400_000_000, quantiser=False)


def test_small_parts_stay_whole_on_every_card_and_the_vae_still_takes_its_turn() -> None:
    for profile in CARDS:
        small = LAYOUTS[profile].keeping(Part.TRANSFORMER, 900_000)
        assert (small.format, small.waits) == (WeightFormat.BFLOAT16, Waiting.RESIDENT)
    assert LAYOUTS[MemoryProfile.GB12].keeping(Part.VAE, 900_000).waits is Waiting.TURNS


def test_a_cpu_keeps_everything_as_it_is() -> None:
    layout = LAYOUTS[MemoryProfile.CPU]
    for part in Part:
        keeping = layout.keeping(part, FLUX1_DEV[part])
        assert (keeping.format, keeping.waits) == (WeightFormat.FLOAT32, Waiting.RESIDENT)
    assert not layout.vae_tiling


def test_what_runs_at_every_step_is_never_brought_layer_by_layer_without_a_stream() -> None:
    for layout in LAYOUTS.values():
        assert layout.parts.keys() == CREWS.keys()
        for part in (Part.TRANSFORMER, Part.CONTROLNET):
            assert layout.parts[part].waits is not Waiting.LAYERS


@pytest.mark.parametrize(("gigabytes", "kept"), [(48.3, 1), (79.2, 2), (150.1, 5)])
def test_a_larger_card_keeps_more_checkpoints(gigabytes: float, kept: int) -> None:
    assert checkpoints_kept(MemoryProfile.GB48, round(gigabytes * 1e9)) == kept
    assert checkpoints_kept(MemoryProfile.GB24, round(gigabytes * 1e9)) == 1
