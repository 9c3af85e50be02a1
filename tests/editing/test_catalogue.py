import pytest

from editing.blending import Blend, Prefill, Route
from editing.catalogue import (
    CATALOGUE,
    Family,
    check,
    check_operation,
    find,
    pick,
    pick_control,
    resolve_route,
    routes_of,
    starts_from_picture,
)
from editing.detecting import WITHOUT_WEIGHTS
from editing.errors import OperationError
from editing.guides import Control, ControlKind, Guides
from editing.operations import Erase, Generate, Img2Img, Inpaint, OperationName, Outpaint
from editing.placement import Placement
from tests.editing.pictures import box_mask, raster, sampling

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
    assert restricted > {"FLUX.1-dev", "FLUX.1-Fill-dev", "FLUX.1-Kontext-dev", "FLUX.1-Redux-dev", UNION, INPAINTING}
    free = {"Apache-2.0", "MIT"}
    assert {name for name, checkpoint in CATALOGUE.items() if checkpoint.licence not in free} == restricted
    for name in restricted:
        assert CATALOGUE[name].acceptance_reason
        assert CATALOGUE[name].licence_url.startswith("https://")


def test_every_checkpoint_has_a_home_and_a_revision_is_a_commit() -> None:
    for checkpoint in CATALOGUE.values():
        without_weights = checkpoint.name == WITHOUT_WEIGHTS
        assert (checkpoint.packaged is not None) + (checkpoint.hub_id is not None) == (not without_weights)
        assert checkpoint.revision is None or len(checkpoint.revision) == 40


def test_each_family_runs_what_its_weights_were_trained_for() -> None:
    base = {OperationName.GENERATE, OperationName.IMG2IMG, OperationName.INPAINT, OperationName.OUTPAINT}
    runs = {
        Family.BASE: base,
        Family.CONTROL: base,
        Family.FILL: {OperationName.INPAINT, OperationName.OUTPAINT, OperationName.ERASE},
        Family.KONTEXT: {OperationName.INSTRUCT, OperationName.INPAINT},
        Family.KLEIN: {OperationName.GENERATE, OperationName.INSTRUCT, OperationName.INPAINT, OperationName.OUTPAINT},
    }
    for checkpoint in CATALOGUE.values():
        assert checkpoint.operations == runs.get(checkpoint.family, set()), checkpoint.name
        assert checkpoint.paints == bool(checkpoint.operations)


def test_an_img2img_that_says_nothing_starts_from_its_picture() -> None:
    for checkpoint in CATALOGUE.values():
        if OperationName.IMG2IMG in checkpoint.operations:
            assert starts_from_picture(checkpoint.sampling("img2img", seed=1)), checkpoint.name


def test_an_inpainting_controlnet_serves_no_controls_and_a_base_of_the_catalogue() -> None:
    nets = [checkpoint for checkpoint in CATALOGUE.values() if checkpoint.inpainting is not None]
    assert [net.name for net in nets] == [INPAINTING]
    for net in nets:
        assert (net.family, dict(net.controls), dict(net.defaults)) == (Family.CONTROLNET, {}, {})
        assert net.works_with
        assert all(find(base).family is Family.BASE for base in net.works_with)


@pytest.mark.parametrize(
    ("operation", "controls", "prefer", "name"),
    [
        ("generate", (), (), "flux-mini"),
        ("img2img", (), (), "flux-mini"),
        ("img2img", (), ("FLUX.1-Fill-dev", "FLUX.1-dev"), "FLUX.1-dev"),
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


@pytest.mark.parametrize(
    ("operation", "route", "prefer", "name"),
    [
        ("inpaint", Route.FILL, ("FLUX.1-dev",), "flux-mini-fill"),
        ("inpaint", Route.LATENT_MERGE, (), "flux-mini"),
        ("inpaint", Route.LATENT_MERGE, ("FLUX.1-Fill-dev", "FLUX.1-dev"), "FLUX.1-dev"),
        ("outpaint", Route.INPAINTING_CONTROLNET, ("FLUX.1-schnell", "FLUX.1-dev"), "FLUX.1-dev"),
    ],
)
def test_a_named_route_restricts_the_choice(operation: str, route: Route, prefer: tuple[str, ...], name: str) -> None:
    assert pick(operation, prefer=prefer, route=route) == name


def test_a_route_that_nothing_at_hand_takes_names_who_would() -> None:
    with pytest.raises(OperationError, match=r"name one that does: FLUX\.1-dev$") as caught:
        pick("inpaint", route=Route.INPAINTING_CONTROLNET)
    assert (caught.value.code, caught.value.field) == ("route_unsupported", "route")
    assert caught.value.limit == ["FLUX.1-dev"]


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
    "control on schnell": ("FLUX.1-schnell", "inpaint", (UNION,), "control_unsupported", "controls[0].checkpoint"),
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
        check(checkpoint, operation, Guides(controls=tuple(control(net) for net in controls)))
    assert (caught.value.code, caught.value.field) == (code, field)


ROUTES = {
    "a Fill checkpoint fills": ("FLUX.1-Fill-dev", None, None, (Route.FILL, None)),
    "also when asked to": ("flux-mini-fill", Route.FILL, None, (Route.FILL, None)),
    "a base merges latents": ("FLUX.1-dev", None, None, (Route.LATENT_MERGE, None)),
    "also when asked to merge": ("FLUX.1-dev", Route.LATENT_MERGE, None, (Route.LATENT_MERGE, None)),
    "a base without such a net": ("FLUX.1-schnell", None, None, (Route.LATENT_MERGE, None)),
    "the net is found": (
        "FLUX.1-dev",
        Route.INPAINTING_CONTROLNET,
        None,
        (Route.INPAINTING_CONTROLNET, INPAINTING),
    ),
    "the route is found": ("FLUX.1-dev", None, INPAINTING, (Route.INPAINTING_CONTROLNET, INPAINTING)),
    "both are named": (
        "FLUX.1-dev",
        Route.INPAINTING_CONTROLNET,
        INPAINTING,
        (Route.INPAINTING_CONTROLNET, INPAINTING),
    ),
}


@pytest.mark.parametrize("name", ROUTES)
def test_the_route_follows_from_the_checkpoint_unless_the_request_names_one(name: str) -> None:
    checkpoint, route, net, settled = ROUTES[name]
    assert resolve_route(checkpoint, route, net) == settled
    assert settled[0] in routes_of(find(checkpoint))


UNROUTABLE = {
    "fill on a base": ("flux-mini", Route.FILL, None, "route_unsupported", "route"),
    "merge on a Fill": ("FLUX.1-Fill-dev", Route.LATENT_MERGE, None, "route_unsupported", "route"),
    "a net's route on a Fill": (
        "FLUX.1-Fill-dev",
        Route.INPAINTING_CONTROLNET,
        None,
        "route_unsupported",
        "route",
    ),
    "a net on a Fill": ("FLUX.1-Fill-dev", None, INPAINTING, "route_unsupported", "inpainting_controlnet"),
    "no net for the base": ("FLUX.1-schnell", Route.INPAINTING_CONTROLNET, None, "route_unsupported", "route"),
    "a net for another base": ("flux-mini", None, INPAINTING, "route_unsupported", "inpainting_controlnet"),
    "a net that the route leaves out": (
        "FLUX.1-dev",
        Route.LATENT_MERGE,
        INPAINTING,
        "route_unsupported",
        "inpainting_controlnet",
    ),
    "a net that reads edges": ("FLUX.1-dev", None, UNION, "route_unsupported", "inpainting_controlnet"),
    "a net that is a base": ("FLUX.1-dev", None, "flux-mini", "route_unsupported", "inpainting_controlnet"),
    "a net nobody knows": ("FLUX.1-dev", None, "x", "checkpoint_unknown", "inpainting_controlnet"),
    "a net alone": (INPAINTING, None, None, "checkpoint_unsuitable", "checkpoint"),
}


@pytest.mark.parametrize("name", UNROUTABLE)
def test_a_route_that_contradicts_its_checkpoint_is_refused_with_what_would_work(name: str) -> None:
    checkpoint, route, net, code, field = UNROUTABLE[name]
    with pytest.raises(OperationError) as caught:
        resolve_route(checkpoint, route, net)
    assert (caught.value.code, caught.value.field) == (code, field)
    if code == "route_unsupported":
        assert caught.value.limit == [each.value for each in routes_of(find(checkpoint))]
        assert "it paints by " in str(caught.value)


def inpaint(checkpoint: str, strength: float = 1.0, **extra: object) -> Inpaint:
    return Inpaint(
        prompt="x",
        picture=raster(32, 32),
        mask=box_mask(32, 32, (8, 8, 24, 24)),
        sampling=sampling(20, strength=strength),
        checkpoint=checkpoint,
        **extra,  # type: ignore[arg-type]
    )


def outpaint(checkpoint: str, **extra: object) -> Outpaint:
    return Outpaint(
        prompt="",
        picture=raster(32, 32),
        placement=Placement.from_margins((32, 32), top=0, right=16, bottom=0, left=0),
        sampling=sampling(20),
        checkpoint=checkpoint,
        **extra,  # type: ignore[arg-type]
    )


def refusal(operation: Generate | Img2Img | Inpaint | Outpaint | Erase) -> OperationError:
    with pytest.raises(OperationError) as caught:
        check_operation(operation)
    return caught.value


def test_an_operation_is_judged_by_its_route_too() -> None:
    assert check_operation(inpaint("FLUX.1-dev", inpainting_controlnet=INPAINTING)).name == "FLUX.1-dev"
    assert refusal(inpaint("flux-mini", route=Route.FILL)).code == "route_unsupported"
    assert refusal(outpaint("flux-mini", inpainting_controlnet=INPAINTING)).code == "route_unsupported"


def test_controls_act_beside_an_inpainting_controlnet_which_reads_no_control_images() -> None:
    steered = Guides(controls=(control(UNION),))
    assert check_operation(inpaint("FLUX.1-dev", guides=steered, inpainting_controlnet=INPAINTING))
    assert check_operation(inpaint("FLUX.1-dev", guides=steered, route=Route.LATENT_MERGE))
    as_control = refusal(inpaint("FLUX.1-dev", guides=Guides(controls=(control(INPAINTING),))))
    assert (as_control.code, as_control.field) == ("control_unsupported", "controls[0].checkpoint")


@pytest.mark.parametrize("checkpoint", ["flux-mini", "flux-mini-fill", "FLUX.1-dev"])
@pytest.mark.parametrize("prefill", [Prefill.KEEP, Prefill.TELEA])
def test_a_prefill_is_refused_where_the_model_starts_from_noise_alone(checkpoint: str, prefill: Prefill) -> None:
    blend = Blend(prefill=prefill)
    refused = refusal(inpaint(checkpoint, blend=blend))
    assert (refused.code, refused.field, refused.value) == ("prefill_without_effect", "prefill", prefill.value)
    assert refused.limit == 0.95  # of 20 steps one is skipped
    assert check_operation(inpaint(checkpoint, strength=0.95, blend=blend))
    assert refusal(outpaint(checkpoint, blend=blend)).code == "prefill_without_effect"


def test_a_prefill_of_a_single_step_is_refused_with_what_would_work() -> None:
    picture, mask = raster(32, 32), box_mask(32, 32, (8, 8, 24, 24))

    def request(steps: int) -> Inpaint:
        run, blend = sampling(steps, strength=0.5), Blend(prefill=Prefill.BLUR)
        return Inpaint(prompt="", picture=picture, mask=mask, sampling=run, checkpoint="flux-mini", blend=blend)

    refused = refusal(request(1))
    assert refused.code == "prefill_without_effect"
    assert "at most 0.0" not in str(refused)  # which would be refused too
    assert "2 steps or more at a strength up to 0.5" in str(refused)
    assert check_operation(request(2))


def test_an_erasure_never_starts_from_a_prefill() -> None:
    erase = Erase(
        picture=raster(32, 32),
        mask=box_mask(32, 32, (8, 8, 24, 24)),
        sampling=sampling(20),
        checkpoint="flux-mini-fill",
        blend=Blend(prefill=Prefill.TELEA),
    )
    assert refusal(erase).code == "prefill_without_effect"


def test_an_inpainting_controlnet_does_not_make_a_prefill_seen() -> None:
    blend = Blend(prefill=Prefill.BLUR)
    refused = refusal(inpaint("FLUX.1-dev", inpainting_controlnet=INPAINTING, blend=blend))
    assert refused.code == "prefill_without_effect"
    assert check_operation(inpaint("FLUX.1-dev", strength=0.9, inpainting_controlnet=INPAINTING, blend=blend))


def test_a_run_starts_from_its_picture_where_diffusers_skips_a_step() -> None:
    from types import SimpleNamespace

    from editing.diffusion.quiet import quiet_libraries

    with quiet_libraries():
        from diffusers import FluxImg2ImgPipeline
    for steps in (1, 2, 4, 20, 24, 28, 30, 99):
        stub = SimpleNamespace(scheduler=SimpleNamespace(timesteps=list(range(steps)), order=1))
        for strength in (0.01, 0.5, 0.6, 0.75, 0.8, 0.9, 0.95, 0.96, 0.97, 1.0):
            run, _ = FluxImg2ImgPipeline.get_timesteps(stub, steps, strength, "cpu")
            assert starts_from_picture(sampling(steps, strength=strength)) == (len(run) < steps), (steps, strength)


@pytest.mark.parametrize("steps", [2, 3, 7, 24, 28, 29, 99])
def test_the_strength_that_a_refused_prefill_is_told_would_do(steps: int) -> None:
    operation = Inpaint(
        prompt="x",
        picture=raster(32, 32),
        mask=box_mask(32, 32, (8, 8, 24, 24)),
        sampling=sampling(steps),
        checkpoint="flux-mini",
        blend=Blend(prefill=Prefill.BLUR),
    )
    limit = refusal(operation).limit
    assert isinstance(limit, float)
    assert starts_from_picture(sampling(steps, strength=limit))


@pytest.mark.parametrize(("side", "fits"), [(256, True), (257, False)])
def test_a_picture_larger_than_a_checkpoint_makes_is_refused_with_the_limit(side: int, fits: bool) -> None:
    operation = Generate(prompt="x", width=side, height=256, sampling=sampling(), checkpoint="flux-mini")
    if fits:
        assert check_operation(operation).name == "flux-mini"
        return
    with pytest.raises(OperationError) as caught:
        check_operation(operation)
    assert (caught.value.code, caught.value.limit) == ("size_unsupported", 256 * 256)


def test_an_img2img_beyond_a_checkpoint_is_told_the_largest_size_of_its_shape() -> None:
    def operation(width: int, height: int, size: tuple[int, int] | None = None) -> Img2Img:
        half = sampling(2, strength=0.5)
        return Img2Img(prompt="x", picture=raster(height, width), sampling=half, checkpoint="flux-mini", size=size)

    assert check_operation(operation(256, 256)).name == "flux-mini"
    assert check_operation(operation(640, 320, size=(360, 180)))
    for refused in (refusal(operation(640, 320)), refusal(operation(64, 32, size=(640, 320)))):
        assert (refused.code, refused.field, refused.limit) == ("size_unsupported", "width", 256 * 256)
        assert "362x181" in str(refused)
    assert check_operation(operation(362, 181))


@pytest.mark.parametrize("checkpoint", ["flux-mini-fill", "flux-mini-canny", INPAINTING])
def test_only_a_base_makes_img2img(checkpoint: str) -> None:
    operation = Img2Img(prompt="x", picture=raster(32, 32), sampling=sampling(), checkpoint=checkpoint)
    assert refusal(operation).code == "checkpoint_unsuitable"


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
        "editing.regions, editing.diffusion.settings; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("checkpoint", ["FLUX.1-schnell", "FLUX.2-klein-4B"])
def test_a_guidance_that_no_input_takes_is_refused(checkpoint: str) -> None:
    def generate(**sampled: float) -> Generate:
        sampling_of = find(checkpoint).sampling("generate", seed=1, **sampled)
        return Generate(prompt="x", width=64, height=64, sampling=sampling_of, checkpoint=checkpoint)

    assert check_operation(generate()).name == checkpoint
    with pytest.raises(OperationError) as caught:
        check_operation(generate(guidance=7.5))
    assert (caught.value.code, caught.value.field) == ("guidance_without_effect", "guidance")
    assert caught.value.limit == find(checkpoint).defaults[OperationName.GENERATE].guidance
