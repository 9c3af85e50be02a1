"""Memory of whole jobs on large pictures, measured by the operating system."""

from dataclasses import replace

import pytest

from studio.bench.large import BYTES_FOR_ALL, CASES, LargeCase, run


def test_a_small_job_is_measured_and_stays_within_its_bound() -> None:
    case = LargeCase(
        name="inpaint 2 MP",
        size=(1600, 1250),
        canvas=(1600, 1250),
        arguments=("inpaint", "a red circle", "--steps", "2"),
        mask=(700, 500, 780, 570),
    )
    seen: list[tuple[int, int]] = []
    (cost,) = run([case], on_progress=lambda done, everything: seen.append((done, everything)))
    assert seen == [(0, 1), (1, 1)]
    assert 100_000_000 < cost.peak <= case.bound
    assert cost.to_json()["within"]
    assert not replace(cost, peak=case.bound + 1).to_json()["within"]
    assert case.bound == BYTES_FOR_ALL + 30 * 2_000_000


@pytest.mark.soak
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_fifty_megapixels_stay_within_the_stated_memory(case: LargeCase) -> None:
    (cost,) = run([case], on_progress=lambda _done, _all: None)
    assert cost.peak <= case.bound
