"""Everything a caller can get wrong: a problem document with a stable code, and nothing left behind."""

import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.studio.conftest import Studio, box_mask, encoded, noise, png

GOOD = encoded(png(noise()))
MASK = encoded(png(box_mask()))
FAINT = encoded(png(box_mask() // 2))
NET = "FLUX.1-dev-Controlnet-Inpainting-Beta"


def bomb(width: int = 65_536, height: int = 65_536) -> bytes:
    """A PNG that says it has that many pixels and holds none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def saved(image: Image.Image, kind: str, **options: Any) -> str:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return encoded(out.getvalue())


def animated(kind: str) -> str:
    frames = [Image.fromarray(noise(seed=number)) for number in range(3)]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


@dataclass(frozen=True)
class Bad:
    name: str
    operation: str
    members: dict[str, Any]
    code: str
    field: str | None
    status: int = 422
    has_limit: bool = False


def inpaint(**members: Any) -> dict[str, Any]:
    return {"prompt": "a red circle", "image": GOOD, "mask": MASK} | members


def outpaint(**members: Any) -> dict[str, Any]:
    return {"image": GOOD} | members


def img2img(**members: Any) -> dict[str, Any]:
    return {"prompt": "a red circle", "image": GOOD} | members


def erase(**members: Any) -> dict[str, Any]:
    return {"image": GOOD, "mask": MASK} | members


def generate(**members: Any) -> dict[str, Any]:
    return {"prompt": "a red circle"} | members


def instruct(**members: Any) -> dict[str, Any]:
    return {"prompt": "make it red", "image": GOOD} | members


def canny(**members: Any) -> dict[str, Any]:
    return {"kind": "canny", "image": GOOD} | members


TABLE = [
    Bad("not a picture", "inpaint", inpaint(image=encoded(b"hello, this is no picture")), "picture_unreadable", "image"),
    Bad("truncated", "inpaint", inpaint(image=encoded(png(noise())[:2000])), "picture_truncated", "image"),
    Bad("empty file", "inpaint", inpaint(image="=="), "base64_invalid", "image"),
    Bad("not base64", "inpaint", inpaint(image="?!"), "base64_invalid", "image"),
    Bad("bomb", "inpaint", inpaint(image=encoded(bomb())), "picture_too_large", "image", 413, has_limit=True),
    Bad("animated gif", "inpaint", inpaint(image=animated("GIF")), "picture_animated", "image"),
    Bad("animated webp", "inpaint", inpaint(image=animated("WEBP")), "picture_animated", "image"),
    Bad("animated png", "inpaint", inpaint(image=animated("PNG")), "picture_animated", "image"),
    Bad("mask of another size", "inpaint", inpaint(mask=encoded(png(box_mask(50, 64)))), "mask_size_mismatch", "mask", has_limit=True),
    Bad("empty mask", "inpaint", inpaint(mask=encoded(png(box_mask() * 0))), "mask_empty", "mask"),
    Bad("mask without alpha", "inpaint", inpaint(mask_polarity="transparent"), "mask_no_alpha", "mask"),
    Bad("unknown polarity", "inpaint", inpaint(mask_polarity="purple"), "request_invalid", "mask_polarity", has_limit=True),
    Bad("margins of zero", "outpaint", outpaint(top=0, left=0), "margins_zero", "margins", has_limit=True),
    Bad("no margins", "outpaint", outpaint(), "margins_zero", "margins", has_limit=True),
    Bad("huge margin", "outpaint", outpaint(left=100_000), "canvas_too_large", "canvas", has_limit=True),
    Bad("absurd margin", "outpaint", outpaint(left=10**30), "canvas_too_large", "canvas", has_limit=True),
    Bad("negative margin", "outpaint", outpaint(left=-5), "margin_negative", "left", has_limit=True),
    Bad("canvas too small", "outpaint", outpaint(width=20, height=20), "canvas_excludes_picture", "canvas", has_limit=True),
    Bad("margins and canvas", "outpaint", outpaint(left=5, width=200), "canvas_contradictory", "width"),
    Bad("size zero", "generate", generate(width=0), "size_unsupported", "width", has_limit=True),
    Bad("size too large", "generate", generate(width=8000, height=8000), "size_unsupported", "width", has_limit=True),
    Bad("steps 0", "generate", generate(steps=0), "steps_out_of_range", "steps", has_limit=True),
    Bad("steps 10,000", "generate", generate(steps=10_000), "steps_out_of_range", "steps", has_limit=True),
    Bad("steps not whole", "generate", generate(steps=2.5), "request_invalid", "steps"),
    Bad("guidance out of range", "generate", generate(guidance=101), "guidance_out_of_range", "guidance", has_limit=True),
    Bad("strength 0", "inpaint", inpaint(strength=0), "strength_out_of_range", "strength", has_limit=True),
    Bad("seed beyond 64 bits", "generate", generate(seed=2**64), "seed_out_of_range", "seed", has_limit=True),
    Bad("seed of a million digits", "generate", generate(seed="9" * 1_000_000), "seed_out_of_range", "seed", has_limit=True),
    Bad("negative seed", "generate", generate(seed=-1), "seed_out_of_range", "seed", has_limit=True),
    Bad("seed of words", "generate", generate(seed="seven"), "request_invalid", "seed"),
    Bad("unknown field", "generate", generate(stepz=5), "field_unknown", "stepz"),
    Bad("screening cannot be asked away", "generate", generate(disable_safety_checker=True), "field_unknown", "disable_safety_checker"),
    Bad("unknown checkpoint", "generate", generate(checkpoint="stable-diffusion"), "checkpoint_unknown", "checkpoint", has_limit=True),
    Bad("licence not accepted", "generate", generate(checkpoint="FLUX.1-dev"), "licence_not_accepted", "checkpoint", 403, has_limit=True),
    Bad("checkpoint that cannot", "generate", generate(checkpoint="flux-mini-fill"), "checkpoint_unsuitable", "checkpoint"),
    Bad("control LoRA on fill", "inpaint", inpaint(checkpoint="FLUX.1-Fill-dev", controls=[{"kind": "canny", "checkpoint": "FLUX.1-Canny-dev-lora"}]), "mix_unsupported", "controls[0].checkpoint", has_limit=True),
    Bad("control without picture", "generate", generate(controls=[{"kind": "canny"}]), "control_picture_missing", "controls[0].image"),
    Bad("control as it is without picture", "inpaint", inpaint(controls=[{"kind": "canny", "mode": "as_is"}]), "control_picture_missing", "controls[0].image"),
    Bad("control image of another shape", "inpaint", inpaint(controls=[canny(mode="as_is", image=encoded(png(noise(64, 40))))]), "control_shape_mismatch", "controls[0].image", has_limit=True),
    Bad("control image of another shape than asked for", "generate", generate(width=64, height=32, controls=[canny(mode="as_is")]), "control_shape_mismatch", "controls[0].image", has_limit=True),
    Bad("five controls", "generate", generate(controls=[{"kind": "canny", "image": GOOD}] * 5), "control_too_many", "controls", has_limit=True),
    Bad("ten controls", "img2img", img2img(controls=[{"kind": "canny"}] * 10), "control_too_many", "controls", has_limit=True),
    Bad("kind that the checkpoint lacks", "generate", generate(checkpoint="flux-mini", controls=[{"kind": "pose", "image": GOOD}]), "control_unsupported", "controls[0].kind", has_limit=True),
    Bad("kind that the ControlNet lacks", "generate", generate(controls=[{"kind": "depth", "image": GOOD, "checkpoint": "flux-mini-canny"}], checkpoint="flux-mini"), "control_unsupported", "controls[0].checkpoint", has_limit=True),
    Bad("ControlNet of another base", "generate", generate(controls=[{"kind": "canny", "image": GOOD, "checkpoint": "FLUX.1-dev-ControlNet-Union-Pro-2.0"}], checkpoint="flux-mini"), "control_unsupported", "controls[0].checkpoint", has_limit=True),
    Bad("control scale 3", "generate", generate(controls=[canny(scale=3)]), "control_scale_out_of_range", "controls[0].scale", has_limit=True),
    Bad("control that ends before it starts", "generate", generate(controls=[canny(), canny(start=0.5, end=0.2)]), "control_span_out_of_range", "controls[1].end", has_limit=True),
    Bad("Canny thresholds upside down", "generate", generate(controls=[canny(low=200, high=100)]), "control_threshold_out_of_range", "controls[0].low", has_limit=True),
    Bad("threshold of another detector", "generate", generate(checkpoint="FLUX.1-dev", controls=[canny(kind="soft_edge", low=5)]), "threshold_without_effect", "controls[0].low", has_limit=True),
    Bad("threshold of a finished control image", "generate", generate(controls=[canny(mode="as_is", low=5)]), "detector_without_effect", "controls[0].low", has_limit=True),
    Bad("detector of a finished control image", "generate", generate(controls=[canny(mode="as_is", detector="canny")]), "detector_without_effect", "controls[0].detector", has_limit=True),
    Bad("detector of another kind", "generate", generate(controls=[canny(detector="hed")]), "detector_unsuitable", "controls[0].detector", has_limit=True),
    Bad("unknown detector", "generate", generate(controls=[canny(detector="eyes")]), "request_invalid", "controls[0].detector", has_limit=True),
    Bad("map by a detector without its weights", "controls/soft_edge", {"image": GOOD, "detector": "hed"}, "detector_unavailable", "detector", has_limit=True),
    Bad("map of a kind that no detector at hand makes", "controls/depth", {"image": GOOD}, "detector_unavailable", "kind", has_limit=True),
    Bad("control of a kind that no detector at hand makes", "generate", generate(checkpoint="FLUX.1-dev", controls=[canny(kind="depth")]), "detector_unavailable", "controls[0].kind", has_limit=True),
    Bad("map by a detector of another kind", "controls/canny", {"image": GOOD, "detector": "hed"}, "detector_unsuitable", "detector", has_limit=True),
    Bad("map of an unknown kind", "controls/smell", {"image": GOOD}, "request_invalid", "kind", has_limit=True),
    Bad("map whose kind is said twice", "controls/canny", {"image": GOOD, "kind": "canny"}, "field_unknown", "kind"),
    Bad("map with a seed", "controls/canny", {"image": GOOD, "seed": 1}, "field_unknown", "seed"),
    Bad("map without a picture", "controls/canny", {}, "field_missing", "image"),
    Bad("map with thresholds upside down", "controls/canny", {"image": GOOD, "low": 300}, "control_threshold_out_of_range", "low", has_limit=True),
    Bad("map with a threshold of another detector", "controls/blur", {"image": GOOD, "low": 30}, "threshold_without_effect", "low", has_limit=True),
    Bad("map of no picture", "controls/grey", {"image": encoded(b"hello")}, "picture_unreadable", "image"),
    Bad("LoRA nobody has", "generate", generate(loras=[{"name": "x"}]), "lora_not_found", "loras[0].name"),
    Bad("nine LoRAs", "generate", generate(loras=[{"name": "x"}] * 9), "lora_too_many", "loras", has_limit=True),
    Bad("LoRA without a name", "generate", generate(loras=[{"weight": 1}]), "field_missing", "loras[0].name"),
    Bad("learnt word nobody has", "generate", generate(embeddings=[{"name": "x"}]), "embedding_not_found", "embeddings[0].name"),
    Bad("nine learnt words", "generate", generate(embeddings=[{"name": "x"}] * 9), "embedding_too_many", "embeddings", has_limit=True),
    Bad("reference nothing reads", "generate", generate(references=[{"kind": "redux", "image": GOOD}]), "reference_unsupported", "references[0].checkpoint", has_limit=True),
    Bad("reference of another architecture", "generate", generate(checkpoint="FLUX.2-klein-4B", references=[{"kind": "redux", "image": GOOD}]), "mix_unsupported", "references[0].checkpoint", has_limit=True),
    Bad("reference that weighs too much", "generate", generate(checkpoint="FLUX.1-dev", references=[{"kind": "redux", "image": GOOD, "weight": 3}]), "reference_weight_out_of_range", "references[0].weight", has_limit=True),
    Bad("unknown kind of reference", "generate", generate(references=[{"kind": "magic", "image": GOOD}]), "request_invalid", "references[0].kind", has_limit=True),
    Bad("reference that is no picture", "generate", generate(checkpoint="FLUX.1-dev", references=[{"kind": "redux", "image": encoded(b"hello")}]), "picture_unreadable", "references[0].image"),
    Bad("five references", "generate", generate(references=[{"kind": "redux", "image": GOOD}] * 5), "reference_too_many", "references", has_limit=True),
    Bad("true CFG below 1", "generate", generate(true_cfg=0.5), "true_cfg_out_of_range", "true_cfg", has_limit=True),
    Bad("negative prompt with true CFG off", "generate", generate(negative_prompt="fog", true_cfg=1), "mix_unsupported", "negative_prompt", has_limit=True),
    Bad("true CFG on distilled weights", "generate", generate(checkpoint="FLUX.2-klein-4B", true_cfg=2), "mix_unsupported", "true_cfg", has_limit=True),
    Bad("negative prompt one too long", "generate", generate(negative_prompt="x" * 4_001), "text_too_long", "negative_prompt", has_limit=True),
    Bad("unknown aspect ratio", "generate", generate(aspect_ratio="wide"), "aspect_ratio_unknown", "aspect_ratio", has_limit=True),
    Bad("unknown --ar", "generate", generate(prompt="a red circle --ar wide"), "aspect_ratio_unknown", "prompt", has_limit=True),
    Bad("weight brackets unbalanced", "generate", generate(prompt="a (red circle:1.3"), "prompt_brackets_unbalanced", "prompt"),
    Bad("weight brackets of a negative prompt unbalanced", "generate", generate(negative_prompt="fog:1.3)"), "prompt_brackets_unbalanced", "negative_prompt"),
    Bad("weight of words out of range", "generate", generate(prompt="a (red:9.0) circle"), "prompt_weight_out_of_range", "prompt", has_limit=True),
    Bad("weights of words where none act", "generate", generate(prompt="a (red:1.3) circle", checkpoint="FLUX.2-klein-4B"), "prompt_weights_unsupported", "prompt", has_limit=True),
    Bad("instruction that nothing at hand follows", "instruct", instruct(), "checkpoint_unsuitable", "checkpoint", has_limit=True),
    Bad("instruction to a base", "instruct", instruct(checkpoint="flux-mini"), "checkpoint_unsuitable", "checkpoint", has_limit=True),
    Bad("instruction about two pictures to one that takes one", "instruct", instruct(checkpoint="FLUX.1-Kontext-dev", others=[GOOD]), "pictures_too_many", "others", has_limit=True),
    Bad("instruction about five pictures", "instruct", instruct(checkpoint="FLUX.2-klein-4B", others=[GOOD] * 4), "pictures_too_many", "others", has_limit=True),
    Bad("instruction with a strength", "instruct", instruct(strength=0.5), "field_unknown", "strength"),
    Bad("instruction with controls", "instruct", instruct(controls=[{"kind": "canny"}]), "field_unknown", "controls"),
    Bad("instruction with a width alone", "instruct", instruct(checkpoint="FLUX.2-klein-4B", width=64), "size_incomplete", "width", has_limit=True),
    Bad("instruction without words", "instruct", {"image": GOOD}, "field_missing", "prompt"),
    Bad("LoRA of an erasure", "erase", erase(loras=[{"name": "x"}]), "field_unknown", "loras"),
    Bad("width of 4,000 digits", "generate", generate(width=10**3999), "request_invalid", "width", has_limit=True),
    Bad("margin of 4,000 digits", "outpaint", outpaint(left=10**3999), "request_invalid", "left", has_limit=True),
    Bad("half a character inside an unknown field", "generate", generate(x=["\ud800", 1]), "field_unknown", "x"),
    Bad("half a character as a key", "generate", generate(steps={"\ud800": 1}), "request_invalid", "steps"),
    Bad("unknown control", "generate", generate(controls=[{"kind": "smell", "image": GOOD}]), "request_invalid", "controls[0].kind", has_limit=True),
    Bad("prompt of a megabyte", "generate", generate(prompt="x" * 1_000_000), "text_too_long", "prompt", has_limit=True),
    Bad("prompt one too long", "generate", generate(prompt="x" * 4_001), "text_too_long", "prompt", has_limit=True),
    Bad("prompt with NUL", "generate", generate(prompt="a\0b"), "text_invalid", "prompt"),
    Bad("no prompt", "generate", {}, "field_missing", "prompt"),
    Bad("prompt is a number", "generate", {"prompt": 5}, "request_invalid", "prompt"),
    Bad("digest nobody has", "inpaint", inpaint(image="ab" * 32), "image_not_found", "image"),
    Bad("200 megapixels", "inpaint", inpaint(image=encoded(bomb(20_000, 10_000))), "picture_too_large", "image", 413, has_limit=True),
    Bad("200 megapixels of mask", "erase", erase(mask=encoded(bomb(20_000, 10_000))), "picture_too_large", "mask", 413, has_limit=True),
    Bad("canvas of 200 megapixels", "outpaint", outpaint(width=20_000, height=10_000), "canvas_too_large", "canvas", has_limit=True),
    Bad("canvas beside the picture", "outpaint", outpaint(width=200, height=200, offset_y=190), "canvas_excludes_picture", "canvas", has_limit=True),
    Bad("offset before the canvas", "outpaint", outpaint(width=200, height=200, offset_x=-1), "canvas_excludes_picture", "canvas", has_limit=True),
    Bad("offset far outside", "outpaint", outpaint(width=200, height=200, offset_x=10**9), "canvas_excludes_picture", "canvas", has_limit=True),
    Bad("offset absurdly far outside", "outpaint", outpaint(width=200, height=200, offset_y=-(10**30)), "canvas_excludes_picture", "canvas", has_limit=True),
    Bad("outpaint at strength 0", "outpaint", outpaint(left=8, strength=0), "strength_out_of_range", "strength", has_limit=True),
    Bad("outpaint at strength 2", "outpaint", outpaint(left=8, strength=2), "strength_out_of_range", "strength", has_limit=True),
    Bad("img2img at strength 0", "img2img", img2img(strength=0), "strength_out_of_range", "strength", has_limit=True),
    Bad("img2img that would ignore its picture", "img2img", img2img(strength=0.9, steps=8), "strength_without_effect", "strength", has_limit=True),
    Bad("hours of work", "erase", erase(n=8, steps=100, seam_limit=1, seam_retries=8), "work_too_large", "n", has_limit=True),
    Bad("img2img without a picture", "img2img", {"prompt": "a red circle"}, "field_missing", "image"),
    Bad("img2img with a width alone", "img2img", img2img(width=64), "size_incomplete", "width", has_limit=True),
    Bad("img2img with a height alone", "img2img", img2img(height=64), "size_incomplete", "height", has_limit=True),
    Bad("img2img too large", "img2img", img2img(width=2000, height=1000), "size_unsupported", "width", has_limit=True),
    Bad("img2img by a Fill checkpoint", "img2img", img2img(checkpoint="flux-mini-fill"), "checkpoint_unsuitable", "checkpoint", has_limit=True),
    Bad("img2img with a mask", "img2img", img2img(mask=MASK), "field_unknown", "mask"),
    Bad("no variants", "generate", generate(n=0), "variants_out_of_range", "n", has_limit=True),
    Bad("nine variants", "inpaint", inpaint(n=9), "variants_out_of_range", "n", has_limit=True),
    Bad("absurdly many variants", "erase", erase(n=10**30), "variants_out_of_range", "n", has_limit=True),
    Bad("half a variant", "outpaint", outpaint(left=8, n=1.5), "request_invalid", "n"),
    Bad("unknown intent", "inpaint", inpaint(intent="improve"), "request_invalid", "intent", has_limit=True),
    Bad("removing by inpaint", "inpaint", inpaint(intent="remove"), "intent_contradictory", "intent", has_limit=True),
    Bad("filling by erase", "erase", erase(intent="fill"), "intent_contradictory", "intent", has_limit=True),
    Bad("adding by outpaint", "outpaint", outpaint(left=8, intent="add"), "intent_contradictory", "intent", has_limit=True),
    Bad("intent of generate", "generate", generate(intent="add"), "field_unknown", "intent"),
    Bad("unknown join", "erase", erase(join="glue"), "request_invalid", "join", has_limit=True),
    Bad("Poisson that spills", "inpaint", inpaint(join="poisson", spill=True), "blend_contradictory", "spill"),
    Bad("Poisson without colour match", "inpaint", inpaint(join="poisson", match_colour=False), "blend_contradictory", "match_colour"),
    Bad("Poisson for a new background", "inpaint", inpaint(join="poisson", intent="replace_background"), "blend_contradictory", "join"),
    Bad("match_colour is no boolean", "inpaint", inpaint(match_colour="perhaps"), "request_invalid", "match_colour"),
    Bad("unknown prefill", "inpaint", inpaint(prefill="magic"), "request_invalid", "prefill", has_limit=True),
    Bad("prefill that Fill never sees", "inpaint", inpaint(prefill="telea"), "prefill_without_effect", "prefill", has_limit=True),
    Bad("prefill of an erasure", "erase", erase(prefill="blur"), "prefill_without_effect", "prefill", has_limit=True),
    Bad("negative growth", "inpaint", inpaint(grow=-1), "blend_out_of_range", "grow", has_limit=True),
    Bad("softening without end", "outpaint", outpaint(left=8, soften=5_000), "blend_out_of_range", "soften", has_limit=True),
    Bad("feather without end", "erase", erase(feather=10**30), "blend_out_of_range", "feather", has_limit=True),
    Bad("threshold 0", "inpaint", inpaint(threshold=0), "mask_threshold_out_of_range", "threshold", has_limit=True),
    Bad("threshold above 1", "erase", erase(threshold=1.01), "mask_threshold_out_of_range", "threshold", has_limit=True),
    Bad("threshold that nothing reaches", "inpaint", inpaint(mask=FAINT, threshold=0.9), "mask_empty", "threshold", has_limit=True),
    Bad("threshold without a mask", "outpaint", outpaint(left=8, threshold=0.5), "field_unknown", "threshold"),
    Bad("seam limit below 0", "inpaint", inpaint(seam_limit=-1), "seam_retry_out_of_range", "seam_limit", has_limit=True),
    Bad("no seam retries", "inpaint", inpaint(seam_limit=1.5, seam_retries=0), "seam_retry_out_of_range", "seam_retries", has_limit=True),
    Bad("nine seam retries", "erase", erase(seam_limit=1.5, seam_retries=9), "seam_retry_out_of_range", "seam_retries", has_limit=True),
    Bad("seam retries without a limit", "outpaint", outpaint(left=8, seam_retries=2), "seam_retry_incomplete", "seam_retries", has_limit=True),
    Bad("unknown route", "inpaint", inpaint(route="magic"), "request_invalid", "route", has_limit=True),
    Bad("filling with a base", "inpaint", inpaint(checkpoint="flux-mini", route="fill"), "route_unsupported", "route", has_limit=True),
    Bad("merging with Fill", "outpaint", outpaint(left=8, checkpoint="flux-mini-fill", route="latent_merge"), "route_unsupported", "route", has_limit=True),
    Bad("route nobody at hand can take", "inpaint", inpaint(route="inpainting_controlnet"), "route_unsupported", "route", has_limit=True),
    Bad("route of an erasure", "erase", erase(route="fill"), "field_unknown", "route"),
    Bad("ControlNet nobody knows", "inpaint", inpaint(checkpoint="flux-mini", inpainting_controlnet="x"), "checkpoint_unknown", "inpainting_controlnet", has_limit=True),
    Bad("ControlNet that reads no mask", "inpaint", inpaint(checkpoint="flux-mini", inpainting_controlnet="flux-mini-canny"), "route_unsupported", "inpainting_controlnet", has_limit=True),
    Bad("ControlNet on Fill", "inpaint", inpaint(checkpoint="flux-mini-fill", inpainting_controlnet=NET), "route_unsupported", "inpainting_controlnet", has_limit=True),
    Bad("ControlNet beside a merge", "inpaint", inpaint(checkpoint="FLUX.1-dev", route="latent_merge", inpainting_controlnet=NET), "route_unsupported", "inpainting_controlnet", has_limit=True),
    Bad("ControlNet nobody knows and no checkpoint", "inpaint", inpaint(inpainting_controlnet="x"), "checkpoint_unknown", "inpainting_controlnet", has_limit=True),
    Bad("strength that runs no step", "img2img", img2img(strength=1e-17), "strength_out_of_range", "strength", has_limit=True),
    Bad("variants are no boolean", "generate", generate(n=True), "request_invalid", "n"),
    Bad("steps are no boolean", "generate", generate(steps=True), "request_invalid", "steps"),
    Bad("strength is no boolean", "img2img", img2img(strength=True), "request_invalid", "strength"),
    Bad("threshold is no boolean", "inpaint", inpaint(threshold=True), "request_invalid", "threshold"),
    Bad("seam limit is no boolean", "erase", erase(seam_limit=True), "request_invalid", "seam_limit"),
    Bad("canvas that WebP cannot hold", "outpaint", outpaint(left=17_000, output_format="webp"), "picture_too_large", "output_format", 413, has_limit=True),
    Bad("quality 0", "generate", generate(quality=0), "request_invalid", "quality", has_limit=True),
]  # fmt: skip


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.name.replace(" ", "-"))
def test_bad_request_gets_a_problem_and_leaves_nothing(bad: Bad, studio: Studio) -> None:
    body = json.dumps(bad.members)
    response = studio.http.post(f"/v1/{bad.operation}", content=body, headers={"Content-Type": "application/json"})
    document = response.json()
    assert (response.status_code, document["code"]) == (bad.status, bad.code), document
    assert response.headers["content-type"] == "application/problem+json"
    assert document.get("field") == bad.field
    assert "limit" in document or not bad.has_limit, document
    assert document["status"] == bad.status
    assert len(response.content) < 3_000
    assert studio.counts() == {"jobs": 0, "records": 0, "blobs": 0}


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("intent", ("fill", "add", "remove", "replace_background", "expand")),
        ("prefill", ("keep", "replicate", "navier_stokes", "telea", "blur", "noise")),
        ("join", ("soft", "poisson")),
        ("route", ("fill", "latent_merge", "inpainting_controlnet", "reference_merge")),
    ],
)
def test_a_wrong_word_is_answered_with_the_right_ones(field: str, words: tuple[str, ...], studio: Studio) -> None:
    document = studio.http.post("/v1/inpaint", json=inpaint() | {field: "wrong"}).json()
    assert (document["code"], document["field"], document["value"]) == ("request_invalid", field, "wrong")
    assert all(f"'{word}'" in document["limit"] and f"'{word}'" in document["detail"] for word in words), document


@pytest.mark.parametrize(
    ("body", "kind", "code", "status"),
    [
        (b'{"prompt": "\xff\xfe"}', "application/json", "body_unreadable", 400),
        (b'{"prompt": ', "application/json", "body_unreadable", 400),
        (b"[1]", "application/json", "body_unreadable", 400),
        (b'{"prompt": "", "guidance": Infinity}', "application/json", "body_unreadable", 400),
        (b'{"prompt": "", "guidance": 1e999}', "application/json", "guidance_out_of_range", 422),
        (b'{"prompt": "a", "seed": 1, "seed": 2}', "application/json", "request_invalid", 422),
        (b'{"prompt": "", "loras": [{"name": "x", "name": "y"}]}', "application/json", "request_invalid", 422),
        (b"[" * 100_000, "application/json", "body_unreadable", 400),
        (b'{"prompt": "\\ud800"}', "application/json", "text_invalid", 422),
        (b"prompt", "text/plain", "content_type_unsupported", 415),
        (b"prompt=x", "application/x-www-form-urlencoded", "content_type_unsupported", 415),
        (b"prompt", "multipart/form-data", "body_unreadable", 400),
        (b"prompt", "multipart/form-data; boundary=x", "body_unreadable", 400),
    ],
)
def test_unreadable_body_gets_a_problem(studio: Studio, body: bytes, kind: str, code: str, status: int) -> None:
    response = studio.http.post("/v1/generate", content=body, headers={"Content-Type": kind})
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert studio.counts() == {"jobs": 0, "records": 0, "blobs": 0}


def test_text_of_a_form_must_be_utf_8(studio: Studio) -> None:
    for disposition in ('name="prompt"', 'name="prompt"; filename="prompt.txt"'):
        body = (
            b"--x\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n\r\n\xff\xfe caf\xe9\r\n--x--\r\n"
        )
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        response = studio.http.post("/v1/generate", content=body, headers=kind)
        assert (response.status_code, response.json()["code"]) == (400, "body_unreadable"), response.text
    assert studio.counts() == {"jobs": 0, "records": 0, "blobs": 0}


def test_a_prompt_sent_as_a_file_is_the_text_that_is_screened(studio: Studio) -> None:
    blocked = "a deepfake of a politician confessing to a crime"
    job = studio.http.post("/v1/generate", files={"prompt": ("prompt.txt", blocked.encode())}).json()
    studio.work_off()
    assert studio.read(job)["state"] == "refused"


def test_the_method_that_is_allowed_is_named(studio: Studio) -> None:
    assert studio.http.get("/v1/inpaint").headers["Allow"] == "POST"


def test_preferences_that_we_do_not_know_are_ignored(studio: Studio) -> None:
    headers = {"Prefer": "respond-async, await, return=minimal"}
    assert studio.http.post("/v1/generate", json={"prompt": ""}, headers=headers).status_code == 202


def test_body_over_the_limit_is_refused_with_and_without_a_declared_length(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio(max_body_bytes=10_000, max_upload_bytes=10_000)
    body = json.dumps({"prompt": "x" * 20_000}).encode()
    declared = studio.http.post("/v1/generate", content=body, headers={"Content-Type": "application/json"})
    undeclared = studio.http.post("/v1/generate", content=iter([body]), headers={"Content-Type": "application/json"})
    for response in (declared, undeclared):
        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
        assert response.json()["limit"] == 10_000


def test_picture_over_the_byte_limit_is_refused(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio(max_upload_bytes=1_000)
    response = studio.http.post("/v1/inpaint", json={"prompt": "", "image": GOOD, "mask": MASK})
    assert (response.status_code, response.json()["code"], response.json()["limit"]) == (
        413,
        "picture_too_large",
        1_000,
    )


def test_canvas_over_the_operators_pixel_limit_is_refused(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio(max_pixels=4_000)
    document = studio.http.post("/v1/outpaint", json=outpaint(left=30)).json()
    assert (document["code"], document["field"], document["value"], document["limit"]) == (
        "canvas_too_large",
        "canvas",
        "94x48",
        4_000,
    )
    assert studio.http.post("/v1/outpaint", json=outpaint(left=10)).status_code == 202


def test_picture_over_the_pixel_limit_is_refused(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio(max_pixels=3_000)
    response = studio.http.post("/v1/inpaint", json={"prompt": "", "image": GOOD, "mask": MASK})
    assert (response.status_code, response.json()["code"]) == (413, "picture_too_large")


def test_pictures_that_are_too_much_together_are_refused(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio(max_pixels=64 * 48)
    pictures = [encoded(png(noise(seed=seed))) for seed in range(4)]

    def ask(*shown: str) -> Any:
        controls = [{"kind": "canny", "image": each} for each in shown]
        return studio.http.post(
            "/v1/inpaint", json=inpaint(checkpoint="flux-mini", image=pictures[0], mask=MASK, controls=controls)
        )

    assert ask(pictures[1], pictures[1], pictures[0]).status_code == 202  # one picture counts once
    response = ask(pictures[1], pictures[2])
    assert (response.status_code, response.json()["code"]) == (413, "pictures_too_large")
    assert (response.json()["value"], response.json()["limit"]) == (4 * 64 * 48, 3 * 64 * 48)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("sixteen-bit-grey", saved(Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 20), "PNG")),
        ("cmyk", saved(Image.fromarray(noise()).convert("CMYK"), "JPEG")),
        ("palette", saved(Image.fromarray(noise()).convert("P"), "PNG")),
        ("grey", saved(Image.fromarray(noise()[..., 0]), "PNG")),
        ("alpha", saved(Image.fromarray(np.dstack([noise(), noise()[..., 0]])), "PNG")),
        ("exif-rotated", saved(Image.fromarray(noise(64, 48)), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0")),
    ],
)  # fmt: skip
def test_unusual_pictures_are_handled_and_said_how(studio: Studio, name: str, image: str) -> None:
    view = studio.done("inpaint", prompt="a red circle", image=image, mask=MASK, seed=1)
    assert view["state"] == "done", view
    record = studio.http.get(f"/v1/records/{view['record']}").json()["body"]
    source = next(each for each in record["inputs"] if each["role"] == "image")
    assert (source["width"], source["height"]) == (64, 48)
    assert name == "alpha" or source["notes"], record["inputs"]


def test_all_white_mask_repaints_everything(studio: Studio) -> None:
    white = encoded(png(box_mask() * 0 + 255))
    view = studio.done("inpaint", prompt="a red circle", image=GOOD, mask=white, seed=1)
    assert view["state"] == "done"


def test_alpha_mask_follows_the_openai_rule_unless_told_otherwise(studio: Studio) -> None:
    plane = np.full((48, 64), 255, np.uint8)
    plane[:, :32] = 0  # transparent on the left: edit here
    rgba = np.dstack([np.repeat((255 - plane)[..., None] * 0, 3, axis=2), plane])
    rgba[:, 32:, :3] = 255  # white on the right
    given = encoded(png(rgba))
    halves = {}
    for polarity in ("auto", "white", "transparent", "black"):
        view = studio.done("inpaint", prompt="", image=GOOD, mask=given, mask_polarity=polarity, seed=1)
        out = np.asarray(Image.open(io.BytesIO(studio.http.get(view["outputs"][0]["url"]).content)))
        changed = (out != noise()).any(axis=2)
        halves[polarity] = (bool(changed[:, :32].any()), bool(changed[:, 32:].any()))
    assert halves == {
        "auto": (True, False),
        "transparent": (True, False),
        "white": (False, True),
        "black": (True, False),
    }


@pytest.mark.parametrize(("width", "height"), [(17, 16), (33, 47), (129, 101)])
def test_sizes_that_are_no_multiples_of_16_come_back_as_asked(studio: Studio, width: int, height: int) -> None:
    view = studio.done("generate", prompt="a red circle", width=width, height=height, seed=1)
    out = Image.open(io.BytesIO(studio.http.get(view["outputs"][0]["url"]).content))
    assert out.size == (width, height)


def test_a_digest_of_somebody_else_is_as_unknown_as_one_that_is_not_there(studio: Studio) -> None:
    mine = studio.client("editor", owner="mine")
    digest = studio.http.post("/v1/images", content=png(noise()), headers=mine | {"Content-Type": "image/png"}).json()[
        "digest"
    ]
    theirs = studio.client("editor", owner="theirs")
    body = {"prompt": "", "image": digest, "mask": MASK}
    assert studio.http.post("/v1/inpaint", json=body, headers=mine).status_code == 202
    refused = studio.http.post("/v1/inpaint", json=body, headers=theirs).json()
    absent = studio.http.post("/v1/inpaint", json=body | {"image": "ab" * 32}, headers=theirs).json()
    assert (refused["code"], refused["field"]) == (absent["code"], absent["field"]) == ("image_not_found", "image")
    assert studio.http.get(f"/v1/images/{digest}", headers=theirs).status_code == 404


@pytest.mark.parametrize("token", ["studio_wrong", "", "x" * 5_000, "studio_\u00e4"])
def test_a_wrong_key_gets_401_and_its_body_is_not_read(studio: Studio, token: str) -> None:
    headers = {"X-Api-Key": token.encode(), "Authorization": ""}
    response = studio.http.post("/v1/generate", content=b"not even json", headers=headers)
    assert response.status_code == 401
    assert response.json()["code"] in {"key_missing", "key_invalid"}
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("role", ["reviewer", "auditor"])
def test_roles_that_read_may_not_edit(studio: Studio, role: str) -> None:
    response = studio.http.post("/v1/generate", json={"prompt": ""}, headers=studio.client(role))
    assert (response.status_code, response.json()["code"]) == (403, "role_forbidden")


@pytest.mark.parametrize(
    ("path", "code", "status"),
    [
        ("/v1/jobs/job_0", "not_found", 404),
        ("/v1/records/rec_0", "not_found", 404),
        ("/v1/images/xyz", "not_found", 404),
        ("/v1/nothing", "not_found", 404),
        ("/v1/jobs?limit=0", "request_invalid", 422),
        ("/v1/jobs?cursor=!!", "value_invalid", 422),
        ("/v1/jobs?state=asleep", "request_invalid", 422),
        ("/v1/records?since=0001-01-01T00:00:00%2B14:00", "request_invalid", 422),
        ("/v1/records?until=9999-12-31T23:59:59-14:00", "request_invalid", 422),
        ("/v1/records?since=yesterday", "request_invalid", 422),
        ("/v1/records?since=2026-01-01T00:00:00", "request_invalid", 422),
        ("/v1/records?decision=block&outcome=done", "request_invalid", 422),
        ("/v1/inpaint", "method_not_allowed", 405),
    ],
)
def test_bad_reads_get_a_problem(studio: Studio, path: str, code: str, status: int) -> None:
    response = studio.http.get(path)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("header", ["wait=soon", "wait=-1", "wait="])
def test_a_malformed_prefer_header_is_refused(studio: Studio, header: str) -> None:
    response = studio.http.post("/v1/generate", json={"prompt": ""}, headers={"Prefer": header})
    assert (response.status_code, response.json()["code"]) == (400, "header_invalid")


def test_a_full_queue_says_so(make_studio: Callable[..., Studio]) -> None:
    studio = make_studio(max_queued=1)
    studio.ask("generate", prompt="a red circle")
    response = studio.http.post("/v1/generate", json={"prompt": "a red circle"})
    assert (response.status_code, response.json()["code"], response.json()["limit"]) == (503, "queue_full", 1)
    assert response.headers["Retry-After"]
    assert studio.counts()["jobs"] == 1


def test_a_full_disk_refuses_the_request_and_leaves_no_job(studio: Studio) -> None:
    import errno
    import os
    from dataclasses import replace

    from fastapi.testclient import TestClient

    from storage import FileBlobs
    from studio.app import create_app

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    blobs = FileBlobs(studio.settings.home_path / "blobs", write=full)
    services = replace(
        studio.services,
        intake=replace(studio.services.intake, blobs=blobs),
        store=replace(studio.store, blobs=blobs),
    )
    with TestClient(create_app(services), headers={"Authorization": f"Bearer {studio.token}"}) as http:
        edit = http.post("/v1/inpaint", json={"prompt": "", "image": GOOD, "mask": MASK})
        upload = http.post("/v1/images", content=png(noise()), headers={"Content-Type": "image/png"})
        assert http.get("/health/ready").status_code == 503
    for response in (edit, upload):
        assert (response.status_code, response.json()["code"]) == (507, "storage_full")
    assert studio.counts() == {"jobs": 0, "records": 0, "blobs": 0}
    assert not list((studio.settings.home_path / "blobs").rglob("*.part"))
