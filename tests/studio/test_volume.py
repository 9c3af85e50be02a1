"""Volume rules through whole jobs: counted once each, held above the limit, and never let through for a fault."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from storage import DatabaseUnavailableError, JobState, Sketch, SketchStore
from studio.jobs import worker
from studio.jobs.volume import VolumeWatch
from studio.policies import ActivePolicy
from tests.studio.conftest import Studio, encoded, noise, png
from tests.studio.house_rules import House, load_house, write_rules

LIMIT = 3
VOLUME = f"""
[[volume]]
id = "harassment-flood-01"
title = "The same again"
why = "For tests."
reason = "A person looks before it goes on."
measure = "near_identical"
window_seconds = 3600
limit = {LIMIT}
action = "review"

[[volume]]
id = "harassment-people-01"
title = "Many people"
why = "For tests."
reason = "Very many people."
measure = "likenesses"
window_seconds = 3600
limit = 2
action = "review"
"""
TERMS = """
version = "2027.01.01"
language = "en"
[terms]
private_person = ["this person"]
famous = ["ada nobody"]
"""
RED = {"prompt": "a red circle on sand", "width": 64, "height": 64}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> ActivePolicy:
    folder = write_rules(tmp_path_factory.mktemp("house"), [House("zorblat")])
    with (folder / "harassment.toml").open("a") as file:
        file.write(VOLUME)
    (folder / "en" / "terms.toml").write_text(TERMS)
    return ActivePolicy.fixed(load_house(folder))


@pytest.fixture
def studio(make_studio: Callable[..., Studio], own: ActivePolicy) -> Studio:
    return make_studio(policies=own)


def sketched(studio: Studio) -> int:
    with studio.store.database.reading() as session:
        return int(session.execute(text("SELECT count(*) FROM sketches")).scalar_one())


def findings(studio: Studio, view: dict[str, Any]) -> list[dict[str, Any]]:
    body = studio.http.get(f"/v1/records/{view['record']}").json()["body"]
    return [each for each in body["policy"]["findings"] if each["screener"] == "volume"]


def test_the_same_prompt_is_held_from_the_limit_on_and_the_record_says_why(studio: Studio) -> None:
    states = [studio.done("generate", **RED, seed=seed)["state"] for seed in range(LIMIT)]
    assert states == ["done"] * LIMIT
    view = studio.done("generate", **RED | {"prompt": "A RED circle, on sand! #4"})
    assert (view["state"], studio.engine.runs) == ("held", LIMIT)
    (reason,) = view["verdict"]["reasons"]
    assert (reason["rule"], reason["reason"]) == ("harassment-flood-01", "A person looks before it goes on.")
    assert "limit" not in str(view["verdict"]["reasons"])
    (finding,) = findings(studio, view)
    assert finding["detail"] == f"near_identical={LIMIT + 1} limit={LIMIT} window=3600s"
    other = studio.done("generate", **RED | {"prompt": "an old harbour at dawn, oil painting"})
    assert (other["state"], findings(studio, other)) == ("done", [])


def test_every_key_is_counted_by_itself(studio: Studio) -> None:
    for _ in range(LIMIT):
        studio.done("generate", **RED)
    other = studio.http.post("/v1/generate", json=RED, headers=studio.client("operator", studio.key.owner)).json()
    studio.work_off()
    assert studio.read(other)["state"] == "done"


def test_variants_count_once_and_refused_requests_count(studio: Studio) -> None:
    assert studio.done("generate", **RED, n=4)["state"] == "done"
    assert sketched(studio) == 1
    assert studio.done("generate", prompt="a zorblat", width=64, height=64)["state"] == "refused"
    assert sketched(studio) == 2


def test_one_prompt_for_a_batch_of_pictures_passes(studio: Studio) -> None:
    for number in range(LIMIT + 2):
        shot = encoded(png(noise(seed=number)))
        assert studio.done("img2img", prompt="on a white table", image=shot)["state"] == "done"
    assert sketched(studio) == LIMIT + 2
    states = [studio.done("img2img", prompt="a hat on a white table", image=shot)["state"] for _ in range(LIMIT + 1)]
    assert states == ["done"] * LIMIT + ["held"], "one picture again and again is no batch"


def test_many_people_are_held_and_one_person_is_not(studio: Studio) -> None:
    shots = [encoded(png(noise(seed=number))) for number in range(3)]
    for words in ("a hat for this person", "blue eyes for this person", "this person on a beach"):
        assert studio.done("img2img", prompt=words, image=shots[0])["state"] == "done"
    states = [studio.done("img2img", prompt="this person in rain", image=shot)["state"] for shot in shots[1:]]
    assert states == ["done", "held"]


def test_requests_without_words_are_not_sketched(studio: Studio, picture: str, mask: str) -> None:
    assert studio.done("erase", image=picture, mask=mask)["state"] == "done"
    assert sketched(studio) == 0


def interrupted(studio: Studio, at: JobState) -> None:
    """A worker that dies when its job enters a state: the lease stays until it runs out."""
    lease = studio.store.jobs.lease("doomed", 0.0, 9)
    assert lease is not None
    prompt = studio.store.read_text(lease.job.prompt_ref or "")

    def enter(state: JobState) -> None:
        if state is at:
            raise worker.JobInterrupted

    with pytest.raises(worker.JobInterrupted):
        worker.sequence.run(
            lease.job, prompt, studio.desk.parts, enter=enter, on_step=lambda _: None, cancelled=lambda: False
        )


def test_a_job_whose_worker_dies_is_counted_once_however_often_it_is_tried(
    make_studio: Callable[..., Studio], own: ActivePolicy
) -> None:
    studio = make_studio(policies=own, max_attempts=9)
    job = studio.ask("generate", **RED)
    for _ in range(LIMIT + 2):
        interrupted(studio, JobState.EDITING)
        assert sketched(studio) == 1
    studio.work_off()
    assert studio.read(job)["state"] == "done"
    assert sketched(studio) == 1


def test_jobs_that_came_later_do_not_hold_one_that_is_tried_again(studio: Studio) -> None:
    first = studio.ask("generate", **RED)
    interrupted(studio, JobState.EDITING)
    lease = studio.store.jobs.lease("slow", 60, 9)
    for _ in range(LIMIT):
        studio.done("generate", **RED)
    assert lease is not None
    worker.carry_out(lease, studio.desk, threading.Event())
    assert studio.read(first)["state"] == "done"


class AwayStore(SketchStore):
    """Sketches whose database is away."""

    def add(self, new: Sketch, *, keep_seconds: float, most: int) -> Any:
        raise DatabaseUnavailableError("the database is away")


class BrokenWatch(VolumeWatch):
    """A fault of ours."""

    def added_to(self, *given: Any, **named: Any) -> Any:
        raise ZeroDivisionError


def test_nothing_is_made_while_it_cannot_be_counted(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    away = VolumeWatch(AwayStore(studio.store.database))
    job = studio.ask("generate", **RED)
    whole = studio.desk.parts.volume
    object.__setattr__(studio.desk.parts, "volume", away)
    with pytest.raises(DatabaseUnavailableError):
        studio.work_off()
    assert (studio.read(job)["state"], studio.engine.runs) == ("screening", 0)
    object.__setattr__(studio.desk.parts, "volume", BrokenWatch(studio.store.sketches))
    broken = studio.done("generate", **RED)
    assert (broken["state"], studio.engine.runs) == ("failed", 0)
    object.__setattr__(studio.desk.parts, "volume", whole)


def test_the_sketches_tell_nothing_of_the_words(studio: Studio) -> None:
    studio.done("generate", **RED | {"prompt": "ada nobody with a blue umbrella"})
    with studio.store.database.reading() as session:
        (row,) = session.execute(text("SELECT * FROM sketches")).mappings().all()
    assert set(row) == {"job_id", "key_id", "at", "prompt", "pictures", "likenesses"}
    assert type(row["prompt"]) is int
    assert "nobody" not in str(dict(row))
    assert "umbrella" not in str(dict(row))


def test_the_dial_moves_the_limits(studio: Studio) -> None:
    _, token = studio.store.keys.create(
        owner=studio.key.owner, role=studio.key.role, purpose="test", safety_tolerance=6
    )
    bearer = {"Authorization": f"Bearer {token}"}
    jobs = [studio.http.post("/v1/generate", json=RED, headers=bearer).json() for _ in range(2 * LIMIT)]
    studio.work_off()
    assert {studio.read(each)["state"] for each in jobs} == {"done"}
    strict = studio.http.post("/v1/generate", json=RED | {"safety_tolerance": 0}, headers=bearer).json()
    studio.work_off()
    assert studio.read(strict)["state"] == "held"


def test_the_sweep_forgets_old_sketches(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from studio.cli import app

    studio.done("generate", **RED)
    with studio.store.database.transaction() as session:
        session.execute(text("UPDATE sketches SET at = '2026-01-02 03:04:05.000000'"))
    studio.done("generate", **RED)
    monkeypatch.setenv("STUDIO_HOME", str(studio.settings.home_path))
    swept = CliRunner().invoke(app, ["db", "sweep"])
    assert "and 0 sketches deleted" in swept.output, "the key's own next request forgot it already"
    with studio.store.database.transaction() as session:
        session.execute(text("UPDATE sketches SET at = '2026-01-02 03:04:05.000000'"))
    assert "and 1 sketches deleted" in CliRunner().invoke(app, ["db", "sweep"]).output
