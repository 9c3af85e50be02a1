import pytest

from editing.catalogue import CATALOGUE, Family, check, check_operation, find, pick, pick_control
from editing.errors import OperationError
from editing.operations import Control, ControlKind, Generate, OperationName
from tests.editing.pictures import raster, sampling

UNION = "FLUX.1-dev-ControlNet-Union-Pro-2.0"
INPAINTING = "FLUX.1-dev-Controlnet-Inpainting-Beta"


def control(checkpoint: str) -> Control:
    return Control(kind=ControlKind.CANNY, checkpoint=checkpoint, picture=raster(16, 16))


@pytest.mark.parametrize(
    ("name", "guidance", "steps"),
    [("FLUX.1-dev", 3.5, 28), ("FLUX.1-schnell", 0.0, 4), ("FLUX.1-Fill-dev", 30.0, 30), ("flux-mini-fill", 30.0, 24)],
)
def test_defaults_are_ours_and_explicit(name: str, guidance: float, steps: int) -> None:
    for default in find(name).defaults.values():
        assert (default.guidance, default.steps) == (guidance, steps)


def test_every_restricted_licence_asks_for_acceptance_and_says_why() -> None:
    restricted = {name for name, checkpoint in CATALOGUE.items() if checkpoint.needs_acceptance}
    assert restricted == {"FLUX.1-dev", "FLUX.1-Fill-dev", UNION, INPAINTING}
    for name in restricted:
        assert "Non-Commercial" in CATALOGUE[name].licence
        assert CATALOGUE[name].acceptance_reason
        assert CATALOGUE[name].licence_url.startswith("https://")


def test_every_checkpoint_has_a_home_and_a_revision_is_a_commit() -> None:
    for checkpoint in CATALOGUE.values():
        assert (checkpoint.packaged is None) != (checkpoint.hub_id is None)
        assert checkpoint.revision is None or len(checkpoint.revision) == 40


def test_fill_erases_and_base_does_not() -> None:
    for checkpoint in CATALOGUE.values():
        assert (OperationName.ERASE in checkpoint.operations) == (checkpoint.family is Family.FILL)
        assert (OperationName.GENERATE in checkpoint.operations) == (checkpoint.family is Family.BASE)


@pytest.mark.parametrize(
    ("operation", "controls", "prefer", "name"),
    [
        ("generate", (), (), "flux-mini"),
        ("inpaint", (), (), "flux-mini-fill"),
        ("inpaint", (ControlKind.CANNY,), (), "flux-mini"),
        ("outpaint", (), (), "flux-mini-fill"),
        ("erase", (), (), "flux-mini-fill"),
        ("erase", (), ("FLUX.1-dev",), "flux-mini-fill"),
        ("inpaint", (), ("FLUX.1-dev", "FLUX.1-Fill-dev"), "FLUX.1-Fill-dev"),
        ("inpaint", (ControlKind.CANNY,), ("FLUX.1-schnell", "FLUX.1-dev"), "FLUX.1-dev"),
    ],
)
def test_a_request_without_a_checkpoint_gets_a_suitable_one(
    operation: str, controls: tuple[ControlKind, ...], prefer: tuple[str, ...], name: str
) -> None:
    assert pick(operation, controls, prefer=prefer) == name


def test_nothing_suits_an_operation_that_does_not_exist() -> None:
    with pytest.raises(OperationError) as caught:
        pick("sing")
    assert caught.value.code == "checkpoint_unsuitable"


def test_a_control_finds_the_net_trained_for_its_base() -> None:
    assert pick_control(ControlKind.CANNY, "flux-mini").name == "flux-mini-canny"
    assert pick_control(ControlKind.CANNY, "FLUX.1-dev").name == UNION
    with pytest.raises(OperationError) as caught:
        pick_control(ControlKind.CANNY, "FLUX.1-schnell")
    assert caught.value.code == "control_unsupported"


UNSUITABLE = {
    "unknown": ("gpt-image", "generate", (), "checkpoint_unknown", "checkpoint"),
    "case differs": ("flux.1-dev", "generate", (), "checkpoint_unknown", "checkpoint"),
    "fill generates": ("flux-mini-fill", "generate", (), "checkpoint_unsuitable", "checkpoint"),
    "base erases": ("flux-mini", "erase", (), "checkpoint_unsuitable", "checkpoint"),
    "a ControlNet alone": ("flux-mini-canny", "inpaint", (), "checkpoint_unsuitable", "checkpoint"),
    "control on Fill": ("flux-mini-fill", "inpaint", ("flux-mini-canny",), "control_unsupported", "controls"),
    "control for another base": (
        "FLUX.1-dev",
        "inpaint",
        ("flux-mini-canny",),
        "control_unsupported",
        "controls[0].checkpoint",
    ),
    "control unknown": ("flux-mini", "generate", ("x",), "checkpoint_unknown", "controls[0].checkpoint"),
    "control is a base": ("flux-mini", "generate", ("flux-mini",), "control_unsupported", "controls[0].checkpoint"),
}


@pytest.mark.parametrize("name", UNSUITABLE)
def test_what_a_checkpoint_cannot_do_is_refused_with_a_reason(name: str) -> None:
    checkpoint, operation, controls, code, field = UNSUITABLE[name]
    with pytest.raises(OperationError) as caught:
        check(checkpoint, operation, tuple(control(net) for net in controls))
    assert (caught.value.code, caught.value.field) == (code, field)


@pytest.mark.parametrize(("side", "fits"), [(256, True), (257, False)])
def test_a_picture_larger_than_a_checkpoint_makes_is_refused_with_the_limit(side: int, fits: bool) -> None:
    operation = Generate(prompt="x", width=side, height=256, sampling=sampling(), checkpoint="flux-mini")
    if fits:
        assert check_operation(operation).name == "flux-mini"
        return
    with pytest.raises(OperationError) as caught:
        check_operation(operation)
    assert (caught.value.code, caught.value.limit) == ("size_unsupported", 256 * 256)


def test_a_request_that_says_nothing_gets_the_defaults_and_what_it_says_wins() -> None:
    dev = find("FLUX.1-dev")
    assert dev.sampling("inpaint", seed=7) == sampling(28, 7, strength=0.9)
    assert dev.sampling("generate", seed=7, steps=5).steps == 5
    with pytest.raises(OperationError):
        dev.sampling("erase", seed=7)


def test_the_pure_modules_need_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, editing.catalogue, editing.controls, editing.decoding, editing.encoding, editing.engine, "
        "editing.regions, editing.flux.settings; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
