"""The most important table: whoever says no, what is left of the job, the blobs, the records and the HTTP view."""

import errno
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import text

from editing import Raster
from policy import Finding, Policy, Subject, known_test_picture, load_known_pictures, load_rules
from policy.tolerance import Severity
from storage import FileBlobs, referenced_digests
from studio import bootstrap
from studio.jobs.worker import Desk, carry_out
from studio.policies import ActivePolicy
from tests.studio.conftest import ReviewScreener, Studio, encoded, png
from tests.studio.paint import PaintEngine

BLOCKED_PROMPT = next(rule.catch[0].text for rule in load_rules().rules if rule.severity is Severity.HIGH)


class RaisingScreener:
    name, version, time_limit_s = "raising", "1", 1.0

    def handles(self, subject: Subject) -> bool:
        return True

    def screen(self, subject: Subject) -> Sequence[Finding]:
        raise ZeroDivisionError


@dataclass(frozen=True)
class Case:
    """One row: what is wrong, and what must be left."""

    name: str
    state: str
    blocked_by: str | None = None
    error: str | None = None
    edited: bool = False
    prompt: str = "a red circle"
    known_input: bool = False
    arrange: Callable[[Studio], Desk] = lambda studio: studio.desk
    records: int = 1


def _output_blocked(studio: Studio) -> Desk:
    studio.engine.then = lambda _: Raster(pixels=known_test_picture())
    return studio.desk


def _with(studio: Studio, **parts: Any) -> Desk:
    return replace(studio.desk, parts=replace(studio.desk.parts, **parts))


def _screener_raises(studio: Studio) -> Desk:
    return _with(studio, policies=ActivePolicy.fixed(Policy(load_rules(), [RaisingScreener()])))


def _rules_broken(studio: Studio) -> Desk:
    folder = studio.settings.home_path / "rules"
    folder.mkdir()
    (folder / "harassment.toml").write_text("this is no table")
    return _with(studio, policies=bootstrap.build_policies(studio.settings.model_copy(update={"rules": folder})))


class RaisingEngine(PaintEngine):
    def run(self, operation: Any, **_: Any) -> Any:
        reason = "yromem fo tuo"[::-1]  # so that the source line itself does not say it
        raise RuntimeError(reason)


def _store_raises(studio: Studio) -> Desk:
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return _with(studio, blobs=FileBlobs(studio.settings.home_path / "blobs", write=full))


def _log_raises(studio: Studio) -> Desk:
    with studio.store.database.transaction() as session:
        session.execute(
            text("CREATE TRIGGER broken BEFORE INSERT ON records BEGIN SELECT RAISE(ABORT, 'no record today'); END")
        )
    return studio.desk


TABLE = [
    Case("prompt blocked", "refused", blocked_by="prompt", prompt=BLOCKED_PROMPT),
    Case("input blocked", "refused", blocked_by="image", known_input=True),
    Case("output blocked", "refused", blocked_by="output", edited=True, arrange=_output_blocked),
    Case("screener raises", "refused", blocked_by="prompt", arrange=_screener_raises),
    Case("rules broken", "refused", blocked_by="request", arrange=_rules_broken),
    Case("engine raises", "failed", error="engine_failed", arrange=lambda s: _with(s, engine=RaisingEngine())),
    Case("store raises", "failed", error="storage_failed", edited=True, arrange=_store_raises),
    Case("log raises", "publishing", edited=True, arrange=_log_raises, records=0),
]


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name.replace(" ", "-"))
def test_refusal_table(case: Case, make_studio: Callable[..., Studio], picture: str, mask: str) -> None:
    studio = make_studio(max_attempts=2)
    known = known_test_picture()
    image = encoded(png(known)) if case.known_input else picture
    white = png(known[..., 0] * 0 + 255) if case.known_input else None
    members = {"image": image, "mask": encoded(white) if white else mask, "prompt": case.prompt, "seed": 1}
    job = studio.ask("inpaint", **members)
    inputs = studio.blob_digests()
    desk = case.arrange(studio)
    studio.work_off(desk)
    view = studio.read(job)

    # the job
    assert view["state"] == case.state
    # the blobs: nothing of ours but what had passed every screening before the fault
    stored = studio.blob_digests() - inputs
    assert len(stored) == (1 if case.name == "log raises" else 0)
    # the record
    records = studio.store.records.list(None).items
    assert [each.outcome.value for each in records] == ([case.state] if case.records else [])
    assert all(each.job_id == job["id"] for each in records)
    # the HTTP view: no output, public reasons without the text
    assert view["outputs"] == []
    for digest in stored:
        assert studio.http.get(f"/v1/images/{digest}").status_code == 404
    subjects = {each["subject"] for each in (view["verdict"] or {"reasons": []})["reasons"]}
    assert (case.blocked_by in subjects) if case.blocked_by else not subjects
    assert (view["error"] or {}).get("code") == case.error
    assert case.prompt not in str(records)
    assert (studio.engine.runs > 0) == case.edited


def test_a_job_whose_record_could_not_be_written_ends_once_it_can(studio: Studio, picture: str, mask: str) -> None:
    job = studio.ask("inpaint", image=picture, mask=mask, prompt="a red circle", seed=1)
    _log_raises(studio)
    lease = studio.desk.jobs.lease("test worker", 15, 3)
    assert lease is not None
    carry_out(lease, studio.desk, threading.Event())
    assert studio.read(job)["state"] == "queued"
    with studio.store.database.transaction() as session:
        session.execute(text("DROP TRIGGER broken"))
    studio.work_off()
    view = studio.read(job)
    assert view["state"] == "done"
    assert len(view["outputs"]) == 1
    assert view["attempts"] == 2
    assert studio.counts()["records"] == 1


@pytest.mark.parametrize(("subject", "edited"), [("prompt", False), ("output", True)])
def test_what_a_person_must_see_is_held_and_nobody_can_read_it_yet(
    subject: str, edited: bool, studio: Studio, picture: str, mask: str
) -> None:
    job = studio.ask("inpaint", image=picture, mask=mask, prompt="a red circle", seed=1)
    inputs = studio.blob_digests()
    policy = Policy(load_rules(), [load_known_pictures(), ReviewScreener(subject)])
    studio.work_off(_with(studio, policies=ActivePolicy.fixed(policy)))
    view = studio.read(job)
    assert (view["state"], view["outputs"], view["verdict"]["decision"]) == ("held", [], "review")
    assert (studio.engine.runs > 0) == edited
    record = studio.http.get(f"/v1/records/{view['record']}").json()
    held = [each["file_sha256"] for each in record["body"]["outputs"]]
    assert len(held) == edited
    assert studio.blob_digests() - inputs == set(held)
    for digest in held:
        assert studio.http.get(f"/v1/images/{digest}").status_code == 404
        assert digest in referenced_digests(studio.store.database), "the sweeper would delete what a person must see"


def test_a_clean_request_passes_the_same_way(studio: Studio, picture: str, mask: str) -> None:
    view = studio.done("inpaint", image=picture, mask=mask, prompt="a red circle", seed=1)
    assert view["state"] == "done"
    assert view["verdict"]["decision"] == "allow"
    record = studio.http.get(f"/v1/records/{view['record']}").json()
    screened = {each["subject"] for each in record["body"]["policy"]["findings"]}
    assert screened == {"prompt", "purpose", "image", "mask", "output"}


def test_the_worker_outlives_a_disk_that_is_full_for_a_while(studio: Studio) -> None:
    from storage import StorageFullError
    from studio.jobs import worker

    job = studio.ask("generate", prompt="a red circle")
    stop = threading.Event()
    faults = [StorageFullError("no room"), StorageFullError("no room")]

    def report(*_: Any, **__: Any) -> None:
        if faults:
            raise faults.pop()
        if studio.read(job)["state"] == "done":
            stop.set()

    class Workers:
        beat = staticmethod(report)

    leasing = replace(studio.desk.leasing, lease_seconds=0.3)
    worker.work(replace(studio.desk, workers=Workers(), leasing=leasing), stop)
    assert faults == []
    assert studio.read(job)["state"] == "done"


def test_an_engines_failure_reaches_the_operators_log_without_its_message(
    studio: Studio, picture: str, mask: str, caplog: pytest.LogCaptureFixture
) -> None:
    studio.ask("inpaint", image=picture, mask=mask, prompt="a red circle", seed=1)
    studio.work_off(_with(studio, engine=RaisingEngine()))
    (said,) = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert "RuntimeError" in said
    assert "test_refusals.py" in said
    assert "out of memory" not in said


def test_a_key_is_not_made_unless_its_token_was_kept(studio: Studio) -> None:
    from sqlalchemy import text as sql

    with studio.store.database.transaction() as session:
        session.execute(sql("DELETE FROM api_keys"))
    path = studio.settings.home_path / "nowhere" / "bootstrap.key"
    with pytest.raises(OSError, match="nowhere"):
        bootstrap.ensure_bootstrap_key(studio.store, path)
    assert studio.store.keys.list() == ()
    made = bootstrap.ensure_bootstrap_key(studio.store, studio.settings.bootstrap_key_path)
    assert made is not None
    assert studio.store.keys.find(studio.settings.bootstrap_key_path.read_text().strip()) == made[0]
