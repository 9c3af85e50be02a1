"""Every operation with every guide on every family, through HTTP, with the real engine on tiny weights."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from editing import ControlKind
from editing.catalogue import CATALOGUE
from editing.detecting import DETECTORS
from editing.guides import Detector
from storage import AdapterKind, Role
from studio import bootstrap
from studio.app import create_app
from studio.jobs.adapters import Upload, admit
from studio.policies import ActivePolicy
from studio.settings import Settings
from tests.studio.conftest import Studio, accept_every_licence, encoded, png
from tests.studio.matrix import MAPS, NONE, PLAIN, Case, cases

WIDTH, HEIGHT, STEPS = 64, 48, 2
LORA = "neon"
DETECTING = ("teed", "Depth-Anything-V2-Small", "vitpose-base-simple", "rtdetr-r50vd")
"""One detector with weights for each kind that has a quick one."""


def scene(seed: int) -> np.ndarray:
    """Shapes on a ramp: edges, areas and some texture."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    random = np.random.default_rng(seed)
    pixels = np.stack([80 + rows, 60 + columns, 200 - rows - columns // 2], axis=2).astype(np.float64)
    for _ in range(4):
        row, column, reach = random.integers(0, HEIGHT), random.integers(0, WIDTH), random.integers(5, 12)
        pixels[(rows - row) ** 2 + (columns - column) ** 2 < reach**2] = random.integers(0, 256, 3)
    return np.clip(pixels + random.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)


def square() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[12:36, 20:44] = 255
    return mask


PHOTO, OTHER = encoded(png(scene(1))), encoded(png(scene(2)))
MASK = encoded(png(square()))


@dataclass
class Bench:
    """A studio with tiny weights of every family, and what it painted without guides."""

    studio: Studio
    plain: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict)

    def run(self, path: str, members: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
        """Ask, work off, and read the picture."""
        response = self.studio.http.post(path, json=members)
        assert response.status_code == 202, response.text
        self.studio.work_off()
        view = self.studio.read(response.json())
        assert view["state"] == "done", view["error"] or view["verdict"]
        (output,) = view["outputs"]
        with Image.open(io.BytesIO(self.studio.http.get(output["url"]).content)) as shown:
            assert shown.size == (output["width"], output["height"])
            return view, np.asarray(shown.convert("RGB"))

    def without(self, case: Case) -> np.ndarray:
        """What the same request paints without its guide; of a family that needs one, with that of another picture."""
        members = asked(case)
        if case.family == "control":
            members["controls"] = [control(case, OTHER)]
        key = (case.operation, case.checkpoint, str(members.get("controls")))
        if key not in self.plain:
            self.plain[key] = self.run(f"/v1/{case.operation.value}", members)[1]
        return self.plain[key]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, policies: ActivePolicy) -> Iterator[Bench]:
    from studio.engines import build_engine

    home = tmp_path_factory.mktemp("matrix")
    settings = Settings(home=home / "home", weights=folders(home), threads=1, poll_seconds=0.01)
    services = bootstrap.build_services(settings, policies)
    store = services.store
    store.database.upgrade()
    key, token = store.keys.create(owner="team", role=Role.OPERATOR, purpose="test")
    accept_every_licence(store)
    engine: Any = build_engine(settings, store)
    desk = bootstrap.build_desk(settings, store, engine, name="test worker", facts=dict, policies=policies)
    with TestClient(create_app(services), headers={"Authorization": f"Bearer {token}"}) as http:
        made = Studio(settings, services, engine, desk, token, key, http)
        add_lora(made)
        yield Bench(made)


def folders(home: Path) -> dict[str, Path]:
    """Tiny weights of the right classes, by name in the catalogue."""
    from tests.editing.lora_files import LAYERS, H, diffusers_lora, file_of
    from tests.editing.tiny import build
    from tests.editing.tiny_detectors import build_detectors
    from tests.editing.tiny_flux2 import build_flux2

    reads_an_image = file_of(diffusers_lora(7, {**LAYERS, "x_embedder": (H, 128)}, size=0.1))
    found = build(home / "flux1") | build_flux2(home / "flux2") | build_detectors(home / "detectors", DETECTING)
    for name in ("FLUX.1-Canny-dev-lora", "FLUX.1-Depth-dev-lora"):
        found[name] = home / name
        found[name].mkdir()
        (found[name] / "pytorch_lora_weights.safetensors").write_bytes(reads_an_image)
    return {name: folder for name, folder in found.items() if name in CATALOGUE}


def add_lora(studio: Studio) -> None:
    """One LoRA of the caller's own."""
    from tests.editing.lora_files import diffusers_lora, file_of

    data = file_of(diffusers_lora(3))
    upload = Upload(kind=AdapterKind.LORA, name=LORA, file=io.BytesIO(data), size=len(data))
    key, store = studio.key, studio.store
    admit(upload, owner=key.owner, key_id=key.id, blobs=store.blobs, store=store.adapters, limit=len(data),
          screen=studio.services.policy.screen)  # fmt: skip


def asked(case: Case) -> dict[str, Any]:
    """The request without its guide."""
    given: dict[str, Any] = {"seed": 7, "steps": STEPS, "checkpoint": case.checkpoint}
    given |= {} if case.operation == "erase" else {"prompt": "a red circle on sand"}
    match case.operation.value:
        case "generate":
            return given | {"width": WIDTH, "height": HEIGHT}
        case "img2img":
            return given | {"image": PHOTO, "strength": 0.5}
        case "inpaint" | "erase":
            return given | {"image": PHOTO, "mask": MASK}
        case "outpaint":
            return given | {"image": PHOTO, "left": 16, "bottom": 5}
        case _:
            return given | {"image": PHOTO}


def control(case: Case, image: str = PHOTO) -> dict[str, Any]:
    named = {} if case.reader == NONE else {"checkpoint": case.reader}
    return {"kind": case.guide, "image": image} | named


def guide(case: Case) -> dict[str, Any]:
    """What the case adds to the request."""
    if case.guide in set(ControlKind):
        return {"controls": [control(case)]}
    references = {"references": [{"kind": case.guide, "image": OTHER}]}
    everything = {
        "controls": [{"kind": "canny"}, {"kind": "depth", "image": OTHER, "end": 0.6}],
        "loras": [{"name": LORA, "weight": 0.7}],
        "references": [{"kind": "redux", "image": OTHER}, {"kind": "ip_adapter", "image": OTHER, "weight": 0.5}],
        "negative_prompt": "fog",
    }
    return {
        PLAIN: {},
        "lora": {"loras": [{"name": LORA, "weight": 0.8}]},
        "redux": references,
        "ip_adapter": references,
        "negative_prompt": {"negative_prompt": "fog"},
        "others": {"others": [OTHER]},
        "inpainting_controlnet": {"route": "inpainting_controlnet", "controls": [{"kind": "canny"}]},
        "everything": everything,
    }[case.guide]


PAINTED = [each for each in cases() if each.family != MAPS]
DRAWN = [each for each in cases() if each.family == MAPS]


@pytest.mark.parametrize("case", PAINTED, ids=str)
def test_every_operation_runs_with_every_guide_on_every_family(case: Case, bench: Bench) -> None:
    view, pixels = bench.run(f"/v1/{case.operation.value}", asked(case) | guide(case))
    record = bench.studio.http.get(f"/v1/records/{view['record']}").json()["body"]
    model = record["model"]
    # its size, and every pixel that was to stay
    assert pixels.shape == ((HEIGHT + 5, WIDTH + 16, 3) if case.operation == "outpaint" else (HEIGHT, WIDTH, 3))
    if case.operation in {"inpaint", "erase"}:
        assert np.array_equal(pixels[square() == 0], scene(1)[square() == 0])
    if case.operation == "outpaint":
        assert np.array_equal(pixels[:HEIGHT, 16:], scene(1))
    assert model["exact_outside_mask"] is True
    # the record names all weights that took part
    named = {case.checkpoint, *(each["checkpoint"] for each in view["parameters"].get("controls", ()))}
    named |= {each["checkpoint"] for each in view["parameters"].get("references", ())}
    made_by = [each["detector"] for each in view["parameters"].get("controls", ()) if "detector" in each]
    named |= {name for each in made_by for name in DETECTORS[Detector(each)].checkpoints}
    assert named <= set(model["checkpoints"]), model["checkpoints"]
    assert all(any(file.startswith(f"{name}/") for file in model["weights"]) for name in named)
    assert "loras" not in view["parameters"] or f"lora:{LORA}" in model["checkpoints"]
    # and the guide shows
    if case.guide != PLAIN:
        assert not np.array_equal(pixels, bench.without(case)), "the guide changed nothing"


@pytest.mark.parametrize("case", DRAWN, ids=str)
def test_every_kind_of_control_image_is_made_over_http(case: Case, bench: Bench) -> None:
    view, pixels = bench.run(f"/v1/controls/{case.guide}", {"image": PHOTO})
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    record = bench.studio.http.get(f"/v1/records/{view['record']}").json()["body"]
    needed = DETECTORS[Detector(view["parameters"]["detector"])].checkpoints
    assert set(needed) <= set(record["model"]["checkpoints"])
    _, other = bench.run(f"/v1/controls/{case.guide}", {"image": OTHER})
    assert case.guide == "pose" or not np.array_equal(pixels, other), "the map does not depend on its picture"
