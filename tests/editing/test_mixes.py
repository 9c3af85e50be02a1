"""Mixes: what each family follows, and what is refused with a reason and with what would work instead."""

from typing import Any

import pytest

from editing.catalogue import CATALOGUE, check, check_operation, find, pick, pick_control
from editing.checkpoints import Family
from editing.errors import OperationError
from editing.guides import Control, ControlKind, Guides, Lora, Reference, ReferenceKind
from editing.mixes import Mix
from editing.operations import Instruct
from tests.editing.pictures import raster, sampling

DEV, FILL, SCHNELL = "FLUX.1-dev", "FLUX.1-Fill-dev", "FLUX.1-schnell"
CANNY, DEPTH, KONTEXT, KLEIN = "FLUX.1-Canny-dev", "FLUX.1-Depth-dev", "FLUX.1-Kontext-dev", "FLUX.2-klein-4B"
UNION, NUMBERED, NORMALS = (
    "FLUX.1-dev-ControlNet-Union-Pro-2.0",
    "FLUX.1-dev-Controlnet-Union",
    "Flux.1-dev-Controlnet-Surface-Normals",
)
CANNY_LORA, DEPTH_LORA = "FLUX.1-Canny-dev-lora", "FLUX.1-Depth-dev-lora"
PICTURE = raster(32, 32)


def control(reader: str, kind: ControlKind = ControlKind.CANNY, **values: Any) -> Control:
    return Control(kind=kind, checkpoint=reader, picture=PICTURE, **{"scale": 1.0, "end": 1.0, **values})


def reference(kind: ReferenceKind = ReferenceKind.REDUX, reader: str = "FLUX.1-Redux-dev") -> Reference:
    return Reference(kind=kind, picture=PICTURE, checkpoint=reader)


def upload(name: str = "mine") -> Lora:
    return Lora(name=name, digest="0" * 64)


def guides(*controls: Control, **values: Any) -> Guides:
    return Guides(controls=controls, **values)


WORKS: dict[str, tuple[str, str, Guides, float]] = {
    "four controls of two nets": (
        DEV,
        "generate",
        guides(
            control(UNION),
            control(UNION, ControlKind.DEPTH),
            control(NUMBERED, ControlKind.TILE, end=0.5),
            control(NORMALS, ControlKind.NORMAL),
        ),
        1.0,
    ),
    "Fill with a control, a LoRA, Redux and an adapter": (
        FILL,
        "inpaint",
        guides(
            control(UNION),
            loras=(upload(),),
            references=(reference(), reference(ReferenceKind.IP_ADAPTER, "flux-ip-adapter")),
        ),
        1.0,
    ),
    "a base with a control LoRA and a ControlNet": (
        DEV,
        "img2img",
        guides(control(CANNY_LORA, scale=0.8), control(UNION, ControlKind.DEPTH)),
        1.0,
    ),
    "a control checkpoint with its control and Redux": (
        DEPTH,
        "outpaint",
        guides(control(DEPTH, ControlKind.DEPTH), references=(reference(),)),
        1.0,
    ),
    "Kontext with a LoRA and a negative prompt": (
        KONTEXT,
        "instruct",
        guides(loras=(upload(),), negative_prompt="blur"),
        2.0,
    ),
    "klein with an uploaded LoRA": (KLEIN, "instruct", guides(loras=(upload(),)), 1.0),
    "true CFG without a negative prompt": (DEV, "generate", Guides(), 3.0),
}


@pytest.mark.parametrize("name", WORKS)
def test_what_can_act_together_is_let_through(name: str) -> None:
    checkpoint, operation, steered, true_cfg = WORKS[name]
    assert check(checkpoint, operation, steered, true_cfg=true_cfg) is find(checkpoint)


REFUSED: dict[str, tuple[str, Guides, float, Mix, str, object]] = {
    "no control for a checkpoint that reads one": (
        CANNY,
        Guides(),
        1.0,
        Mix.CONTROL_MISSING,
        "controls",
        ["one control of kind canny"],
    ),
    "two for its one place": (
        CANNY,
        guides(control(CANNY), control(CANNY)),
        1.0,
        Mix.CHANNELS_TAKEN,
        "controls[1].checkpoint",
        ["FLUX.1-dev-ControlNet-Union-Pro-2.0"],
    ),
    "a ControlNet beside channels": (
        CANNY,
        guides(control(CANNY), control(UNION)),
        1.0,
        Mix.CONTROL_ON_CHANNELS,
        "controls[1].checkpoint",
        [DEV],
    ),
    "a span for channels": (
        DEPTH,
        guides(control(DEPTH, ControlKind.DEPTH, end=0.5)),
        1.0,
        Mix.CONTROL_SPAN_FIXED,
        "controls[0].end",
        ["start 0 and end 1", "a ControlNet"],
    ),
    "a weight for channels": (
        DEPTH,
        guides(control(DEPTH, ControlKind.DEPTH, scale=0.5)),
        1.0,
        Mix.CONTROL_SCALE_FIXED,
        "controls[0].scale",
        ["1.0"],
    ),
    "a span for a control LoRA": (
        DEV,
        guides(control(CANNY_LORA, start=0.2)),
        1.0,
        Mix.CONTROL_SPAN_FIXED,
        "controls[0].end",
        ["start 0 and end 1", "a ControlNet"],
    ),
    "two control LoRAs": (
        DEV,
        guides(control(CANNY_LORA), control(DEPTH_LORA, ControlKind.DEPTH)),
        1.0,
        Mix.CHANNELS_TAKEN,
        "controls[1].checkpoint",
        ["FLUX.1-dev-ControlNet-Union-Pro-2.0"],
    ),
    "a control LoRA on Fill": (
        FILL,
        guides(control(CANNY_LORA)),
        1.0,
        Mix.CHANNELS_TAKEN,
        "controls[0].checkpoint",
        ["FLUX.1-dev-ControlNet-Union-Pro-2.0"],
    ),
    "a ControlNet on Kontext": (
        KONTEXT,
        guides(control(UNION)),
        1.0,
        Mix.CONTROL_WITH_REFERENCE_TOKENS,
        "controls[0].checkpoint",
        [DEV, FILL],
    ),
    "Redux on Kontext": (
        KONTEXT,
        guides(references=(reference(),)),
        1.0,
        Mix.REFERENCE_WITH_REFERENCE_TOKENS,
        "references[0].checkpoint",
        [DEV, FILL],
    ),
    "a FLUX.1 ControlNet on FLUX.2": (
        KLEIN,
        guides(control(UNION)),
        1.0,
        Mix.OTHER_ARCHITECTURE,
        "controls[0].checkpoint",
        [DEV, FILL],
    ),
    "Redux on FLUX.2": (
        KLEIN,
        guides(references=(reference(),)),
        1.0,
        Mix.OTHER_ARCHITECTURE,
        "references[0].checkpoint",
        [DEV, FILL],
    ),
    "a negative prompt without true CFG": (
        DEV,
        guides(negative_prompt="blur"),
        1.0,
        Mix.NEGATIVE_WITHOUT_CFG,
        "negative_prompt",
        ["a true_cfg above 1", "no negative_prompt"],
    ),
    "a negative prompt on distilled klein": (
        KLEIN,
        guides(negative_prompt="blur"),
        1.0,
        Mix.CFG_UNSUPPORTED,
        "negative_prompt",
        [DEV, FILL],
    ),
    "true CFG on distilled klein": (KLEIN, Guides(), 2.0, Mix.CFG_UNSUPPORTED, "true_cfg", [DEV, FILL]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_act_together_is_refused_with_a_reason_and_what_would_work(name: str) -> None:
    checkpoint, steered, true_cfg, mix, field, instead = REFUSED[name]
    operation = min(find(checkpoint).operations)
    with pytest.raises(OperationError) as caught:
        check(checkpoint, operation, steered, true_cfg=true_cfg)
    assert (caught.value.code, caught.value.field, caught.value.value) == ("mix_unsupported", field, mix.value)
    assert isinstance(caught.value.limit, list)
    assert set(instead) <= set(caught.value.limit)
    assert str(caught.value.limit[0]) in str(caught.value)


def test_every_reason_is_reached() -> None:
    assert {each[3] for each in REFUSED.values()} == set(Mix)


@pytest.mark.parametrize(
    ("checkpoint", "steered", "code", "field"),
    [
        (DEV, guides(control(UNION, ControlKind.TILE)), "control_unsupported", "controls[0].kind"),
        (CANNY, guides(control(CANNY, ControlKind.DEPTH)), "control_unsupported", "controls[0].kind"),
        (DEV, guides(control("FLUX.1-Redux-dev")), "control_unsupported", "controls[0].checkpoint"),
        (DEV, guides(control(CANNY)), "control_unsupported", "controls[0].checkpoint"),
        (SCHNELL, guides(control(UNION)), "control_unsupported", "controls[0].checkpoint"),
        (SCHNELL, guides(references=(reference(),)), "reference_unsupported", "references[0].checkpoint"),
        (DEV, guides(references=(reference(reader=UNION),)), "reference_unsupported", "references[0].checkpoint"),
        (
            DEV,
            guides(references=(reference(ReferenceKind.IP_ADAPTER),)),
            "reference_unsupported",
            "references[0].checkpoint",
        ),
        (DEV, guides(loras=(Lora(name=UNION),)), "lora_unsupported", "loras[0].name"),
        (DEV, guides(loras=(Lora(name="nothing"),)), "checkpoint_unknown", "loras[0].name"),
    ],
)
def test_a_guide_that_its_checkpoint_cannot_follow_is_named(
    checkpoint: str, steered: Guides, code: str, field: str
) -> None:
    with pytest.raises(OperationError) as caught:
        check(checkpoint, "generate", steered)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_a_control_is_read_by_the_checkpoint_itself_or_by_a_net_or_else_by_a_lora() -> None:
    assert pick_control(ControlKind.DEPTH, DEPTH).name == DEPTH
    assert pick_control(ControlKind.DEPTH, DEV).name == UNION
    assert pick_control(ControlKind.NORMAL, FILL).name == NORMALS
    with pytest.raises(OperationError) as caught:
        pick_control(ControlKind.DEPTH, KLEIN)
    assert caught.value.code == "control_unsupported"


def test_every_kind_of_control_has_a_reader_with_defaults_that_it_takes() -> None:
    for kind in ControlKind:
        reader = pick_control(kind, DEV)
        default = reader.controls[kind]
        given = control(reader.name, kind, scale=default.scale, start=default.start, end=default.end)
        assert check(DEV, "generate", guides(given)).name == DEV


def test_union_pro_2_is_told_no_number_and_the_first_union_is_told_one_for_each_kind() -> None:
    assert not find(UNION).control_modes
    assert set(find(NUMBERED).control_modes) == set(find(NUMBERED).controls)
    assert len(set(find(NUMBERED).control_modes.values())) == len(find(NUMBERED).controls)


def test_a_checkpoint_that_must_have_a_control_is_not_chosen_for_a_request_without() -> None:
    assert pick("generate", prefer=(CANNY, DEV)) == DEV
    assert pick("generate", (ControlKind.CANNY,), prefer=(CANNY, DEV)) == CANNY


def test_an_instruction_takes_as_many_pictures_as_its_checkpoint_does() -> None:
    def instruct(checkpoint: str, count: int) -> Instruct:
        one = find(checkpoint).sampling("instruct", seed=1)
        return Instruct(
            prompt="x", picture=PICTURE, others=(PICTURE,) * (count - 1), sampling=one, checkpoint=checkpoint
        )

    assert check_operation(instruct(KLEIN, 4)).name == KLEIN
    with pytest.raises(OperationError) as caught:
        check_operation(instruct(KONTEXT, 2))
    assert (caught.value.code, caught.value.value, caught.value.limit) == ("pictures_too_many", 2, 1)
    with pytest.raises(OperationError) as caught:
        instruct(KLEIN, 5)
    assert caught.value.code == "pictures_too_many"


def test_a_negative_prompt_turns_true_cfg_on_where_the_request_says_nothing() -> None:
    for checkpoint in CATALOGUE.values():
        if not checkpoint.paints or checkpoint.family is Family.CONTROL:
            continue
        operation = min(checkpoint.operations)
        scale = checkpoint.sampling(operation, seed=1, negative=True).true_cfg
        usual = checkpoint.defaults[operation].true_cfg
        assert scale == max(usual, checkpoint.negative_cfg or 1.0)
        assert checkpoint.sampling(operation, seed=1).true_cfg == usual
        assert checkpoint.sampling(operation, seed=1, negative=True, true_cfg=1.5).true_cfg == 1.5


def test_contradictory_guides_are_refused_at_once() -> None:
    with pytest.raises(OperationError) as caught:
        guides(loras=(Lora(name="a"), Lora(name="a", weight=-1.0)))
    assert (caught.value.code, caught.value.field) == ("lora_duplicate", "loras[1].name")
    with pytest.raises(OperationError) as caught:
        guides(*[control(UNION)] * 10)
    assert (caught.value.code, caught.value.value, caught.value.limit) == ("control_too_many", 10, 4)
    with pytest.raises(OperationError) as caught:
        Lora(name="a", weight=float("nan"))
    assert caught.value.code == "lora_weight_out_of_range"
    assert sampling(1).true_cfg == 1.0
