"""A process killed with -9 at the worst moment: half-way through the transaction that publishes."""

import subprocess
import sys
from pathlib import Path

from sqlalchemy import select

from storage import JobState
from storage.models import ImageRow, RecordRow
from tests.storage.conftest import HandClock, Stores

ROOT = Path(__file__).parents[2]

# A record store that dies after everything was written and before it is committed.
DIES_BEFORE_THE_COMMIT = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.orm import Session
from storage import *

url, job_id, token = sys.argv[1:]
database = Database(url)
images = ImageStore(database)
jobs = JobStore(database, TextVault(), RecordStore(database, images))
event.listen(Session, "before_commit", lambda session: os.kill(os.getpid(), signal.SIGKILL))
digest = "ab" * 32
image = NewImage(digest=digest, pixel_sha256=digest, media_type="image/png", width=1, height=1, size_bytes=1,
                 origin=Origin.OUTPUT)
record = NewRecord(owner="alice", operation="inpaint", outcome=Outcome.DONE, body={})
jobs.finish(Finish(job_id=job_id, lease_token=token, state=JobState.DONE, record=record, images=(image,)))
"""

DIES_AFTER_ACCEPTING = """
import os, signal, sys
from storage import *

database = Database(sys.argv[1])
jobs = JobStore(database, TextVault(), RecordStore(database, ImageStore(database)))
for number in range(3):
    new = NewJob(owner="alice", key_id="key_1", operation="generate", checkpoint="flux-mini",
                 parameters={"number": number}, prompt=f"prompt {number}")
    print(jobs.enqueue(new).id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_jobs_accepted_by_a_killed_service_are_all_there(stores: Stores, url: str) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", DIES_AFTER_ACCEPTING, url], cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True
    )
    assert killed.returncode == -9
    accepted = killed.stdout.split()
    assert len(accepted) == 3
    leased = [stores.lease().job for _ in accepted]
    assert [job.id for job in leased] == accepted
    with stores.database.reading() as session:
        assert [stores.vault.get(session, job.prompt_ref or "") for job in leased] == [
            "prompt 0",
            "prompt 1",
            "prompt 2",
        ]


def test_a_worker_killed_while_publishing_publishes_nothing_and_the_job_is_run_again(
    stores: Stores, clock: HandClock, url: str
) -> None:
    job = stores.enqueue()
    lease = stores.lease("worker-1", seconds=30)
    killed = subprocess.run(
        [sys.executable, "-c", DIES_BEFORE_THE_COMMIT, url, job.id, lease.token], cwd=ROOT, check=False
    )
    assert killed.returncode == -9

    with stores.database.reading() as session:
        assert session.scalars(select(RecordRow.id)).all() == []
        assert session.scalars(select(ImageRow.digest)).all() == []
    assert stores.jobs.get(job.id, None).state is JobState.SCREENING

    clock.advance(31)
    again = stores.lease("worker-2")
    assert again.job.attempts == 2
    stores.finish(job, again.token)
    assert len(stores.records.list(None).items) == 1
