"""Several variants of one request: one job, one record, all of them given out or none."""

import errno
import io
import os
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from editing import Progress, Raster, derived_seed
from policy import Policy, known_test_picture, load_known_pictures, load_rules
from storage import FileBlobs, referenced_digests
from studio.jobs.variants import Steps
from studio.policies import ActivePolicy
from tests.studio.conftest import ReviewScreener, Studio

SEED = 7
SEEDS = [derived_seed(SEED, "variant", number) for number in range(3)]


def three(studio: Studio, picture: str, mask: str, **members: Any) -> dict[str, Any]:
    given = {"image": picture, "mask": mask, "prompt": "a red circle", "seed": SEED, "n": 3, "steps": 4}
    return studio.ask("inpaint", **given | members)


def body_of(studio: Studio, view: dict[str, Any]) -> dict[str, Any]:
    return studio.http.get(f"/v1/records/{view['record']}").json()["body"]


def on_run(number: int, act: Callable[[Raster], Raster]) -> Callable[[Raster], Raster]:
    """Do something at the end of one run of the engine."""
    runs = iter(range(100))
    return lambda raster: act(raster) if next(runs) == number else raster


def test_three_variants_are_three_pictures_on_derived_seeds_in_one_record(
    studio: Studio, picture: str, mask: str
) -> None:
    job = three(studio, picture, mask)
    studio.work_off()
    view = studio.read(job)
    assert view["state"] == "done"
    assert [each.sampling.seed for each in studio.engine.seen] == SEEDS
    assert [each["seed"] for each in view["outputs"]] == [str(seed) for seed in SEEDS]
    assert (view["seed"], view["progress"]) == (str(SEED), {"step": 12, "steps": 12, "fraction": 1.0})
    assert len({each["digest"] for each in view["outputs"]}) == 3
    for output in view["outputs"]:
        with Image.open(io.BytesIO(studio.http.get(output["url"]).content)) as shown:
            assert shown.size == (output["width"], output["height"]) == (64, 48)
    assert len(studio.store.records.list(None).items) == 1
    body = body_of(studio, view)
    assert [each["seed"] for each in body["outputs"]] == [str(seed) for seed in SEEDS]
    assert [each["file_sha256"] for each in body["outputs"]] == [each["digest"] for each in view["outputs"]]
    assert [each["seed"] for each in body["variants"]] == [str(seed) for seed in SEEDS]
    assert {each["subject"] for each in body["policy"]["findings"]} == {
        "prompt", "purpose", "image", "mask", "output[0]", "output[1]", "output[2]",
    }  # fmt: skip


def test_each_variant_can_be_asked_for_alone_by_its_seed(studio: Studio, picture: str, mask: str) -> None:
    job = three(studio, picture, mask)
    studio.work_off()
    outputs = studio.read(job)["outputs"]
    for output in outputs:
        alone = three(studio, picture, mask, seed=output["seed"], n=1)
        studio.work_off()
        assert [each["digest"] for each in studio.read(alone)["outputs"]] == [output["digest"]]


def test_one_variant_reads_as_it_always_did(studio: Studio, picture: str, mask: str) -> None:
    job = three(studio, picture, mask, n=1)
    studio.work_off()
    body = body_of(studio, studio.read(job))
    assert "variants" not in body
    assert "output" in {each["subject"] for each in body["policy"]["findings"]}


def test_an_edit_of_any_variant_is_linked_to_their_record(studio: Studio) -> None:
    first = studio.done("generate", prompt="a red circle", width=64, height=48, n=2, seed=SEED)
    children = [
        studio.done("img2img", prompt="a red circle", image=each["digest"], seed=1)["record"]
        for each in first["outputs"]
    ]
    parent = studio.http.get(f"/v1/records/{first['record']}").json()
    assert sorted(parent["children"]) == sorted(children)


def test_one_variant_that_is_blocked_refuses_all_and_nothing_is_kept(studio: Studio, picture: str, mask: str) -> None:
    job = three(studio, picture, mask)
    inputs = studio.blob_digests()
    studio.engine.then = on_run(1, lambda _: Raster(pixels=known_test_picture()))
    studio.work_off()
    view = studio.read(job)
    assert (view["state"], view["outputs"]) == ("refused", [])
    assert {each["subject"] for each in view["verdict"]["reasons"]} == {"output[1]"}
    assert studio.engine.runs == 2, "the third would be painted for nothing"
    assert studio.blob_digests() == inputs
    body = body_of(studio, view)
    assert body["outputs"] == []
    assert [each["seed"] for each in body["variants"]] == [str(seed) for seed in SEEDS[:2]]


def test_one_variant_under_review_holds_the_job_with_the_pictures_made_so_far(
    studio: Studio, picture: str, mask: str
) -> None:
    job = three(studio, picture, mask)
    inputs = studio.blob_digests()
    policy = Policy(load_rules(), [load_known_pictures(), ReviewScreener("output[1]")])
    studio.work_off(replace(studio.desk, parts=replace(studio.desk.parts, policies=ActivePolicy.fixed(policy))))
    view = studio.read(job)
    assert (view["state"], view["outputs"], studio.engine.runs) == ("held", [], 2)
    stored = studio.store.jobs.get(job["id"], None)
    assert [each["seed"] for each in stored.output_facts] == [str(seed) for seed in SEEDS[:2]]
    held = [each["file_sha256"] for each in body_of(studio, view)["outputs"]]
    assert list(stored.outputs) == held
    assert studio.blob_digests() - inputs == set(held)
    assert set(held) <= referenced_digests(studio.store.database)
    for digest in held:
        assert studio.http.get(f"/v1/images/{digest}").status_code == 404


@pytest.mark.parametrize(("during", "runs"), [("the first ends", 2), ("the second runs", 2), ("the last runs", 3)])
def test_cancelling_ends_all_variants(studio: Studio, picture: str, mask: str, during: str, runs: int) -> None:
    job = three(studio, picture, mask)
    inputs = studio.blob_digests()

    def cancel() -> None:
        assert studio.http.delete(f"/v1/jobs/{job['id']}").json()["cancel_requested"]

    if during == "the first ends":

        def act(raster: Raster) -> Raster:
            cancel()
            return raster

        studio.engine.then = on_run(0, act)
    else:
        studio.engine.at_step = lambda run, step: cancel() if (run, step) == (runs, 2) else None
    studio.desk = replace(studio.desk, leasing=replace(studio.desk.leasing, lease_seconds=0.09))
    studio.engine.pause = 0.1  # longer than a beat: the wish is heard within the run
    studio.work_off()
    view = studio.read(job)
    assert (view["state"], view["outputs"], studio.engine.runs) == ("cancelled", [], runs)
    assert studio.blob_digests() == inputs


def test_a_disk_that_fails_at_the_second_picture_publishes_none_until_it_works(
    studio: Studio, picture: str, mask: str
) -> None:
    job = three(studio, picture, mask)
    puts = iter(range(100))

    def full_once(descriptor: int, data: memoryview) -> int:
        if next(puts) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(descriptor, data)

    blobs = FileBlobs(studio.settings.home_path / "blobs", write=full_once)
    desk = replace(studio.desk, parts=replace(studio.desk.parts, blobs=blobs))
    lease = desk.jobs.lease("test worker", 15, 3)
    assert lease is not None
    from threading import Event

    from studio.jobs.worker import carry_out

    assert carry_out(lease, desk, Event()) == 0
    view = studio.read(job)
    assert (view["state"], view["outputs"], view["record"]) == ("queued", [], None)
    studio.work_off(desk)
    view = studio.read(job)
    assert (view["state"], view["attempts"], len(view["outputs"])) == ("done", 2, 3)
    assert len(studio.store.records.list(None).items) == 1


def test_no_raster_of_an_earlier_variant_is_held_while_the_next_is_painted(studio: Studio) -> None:
    rasters: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []

    def watch(raster: Raster) -> Raster:
        alive.append(sum(each() is not None for each in rasters))
        rasters.append(weakref.ref(raster.pixels))
        return raster

    studio.engine.then = watch
    assert studio.done("generate", prompt="a red circle", n=3, seed=SEED)["state"] == "done"
    assert alive == [0, 0, 0]


def test_steps_are_counted_over_all_variants_and_never_go_back() -> None:
    told: list[tuple[int, int]] = []
    steps = Steps(lambda progress: told.append((progress.step, progress.steps)), 3)
    for number, length in enumerate((2, 4, 2)):  # the second is painted twice: its seam showed
        tell = steps.of(number)
        for step in range(1, length + 1):
            tell(Progress(step=step, steps=length))
    assert told == [(1, 6), (2, 6), (3, 10), (4, 10), (5, 10), (6, 10), (7, 8), (8, 8)]
