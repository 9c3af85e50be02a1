"""The worker: takes one job after the other from the table and carries it out.

A beat thread keeps the lease while the model runs. If this process dies, the lease runs out and another worker takes
the job over, up to `max_attempts` times; a job whose lease went to somebody else cannot be finished here any more.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from typing_extensions import override

from editing import Progress
from storage import (
    DatabaseUnavailableError,
    Finish,
    Job,
    JobState,
    JobStore,
    Lease,
    LeaseLostError,
    StorageError,
    WorkerStore,
)
from studio.jobs import run as sequence
from studio.jobs.run import Parts

log = logging.getLogger(__name__)

PROGRESS_SECONDS: Final = 0.2
"""Progress is written at most this often."""
FAULT_SECONDS: Final = 0.5
"""Pause after storage failed, at least."""


class JobInterrupted(BaseException):
    """The job is to be left where it is: this worker stops, or lost its lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leasing:
    """How jobs are taken and kept.

    Attributes:
        worker_id: Name of this worker.
        lease_seconds: How long a job stays ours without a beat.
        max_attempts: How often a job is started.
        poll_seconds: How often an idle worker looks.
    """

    worker_id: str
    lease_seconds: float
    max_attempts: int
    poll_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a worker works with."""

    jobs: JobStore
    read_text: Callable[[str], str | None]
    workers: WorkerStore
    parts: Parts
    leasing: Leasing
    facts: Callable[[], dict[str, object]]


def work(desk: Desk, stop: threading.Event, *, only: str | None = None) -> int:
    """Carry out jobs until told to stop.

    Args:
        desk: What to work with.
        stop: When set, the job in hand goes back to the queue and the loop ends.
        only: Carry out this job alone and return; for the command line's in-process edits.

    Returns:
        How many jobs ended here.
    """
    ended = 0
    reported = -desk.leasing.lease_seconds
    while not stop.is_set():
        try:
            if only is not None and desk.jobs.get(only, None).state.final:
                break
            if time.monotonic() - reported >= desk.leasing.lease_seconds / 3:
                reported = time.monotonic()
                _report(desk)
            lease = desk.jobs.lease(
                desk.leasing.worker_id, desk.leasing.lease_seconds, desk.leasing.max_attempts, only=only
            )
            if lease is None:
                stop.wait(desk.leasing.poll_seconds)
            else:
                ended += carry_out(lease, desk, stop)
        except StorageError as error:  # lost database, full disk: both may pass, and this process must outlive them
            log.warning("storage fails, trying again: %s", error)
            stop.wait(max(desk.leasing.poll_seconds, FAULT_SECONDS))
    return ended


def carry_out(lease: Lease, desk: Desk, stop: threading.Event) -> int:
    """Carry out one leased job.

    Returns:
        1 if the job ended here, 0 if it went back to the queue or to somebody else.
    """
    keeper = _Keeper(lease, desk, stop)
    keeper.start()
    try:
        finish = sequence.lost(lease.job, desk.parts) if lease.exhausted else _run(lease.job, desk, keeper)
        desk.jobs.finish(replace(finish, lease_token=lease.token))
        log.info("%s %s", lease.job.id, finish.state)
    except JobInterrupted:
        keeper.halt()
        if stop.is_set() and not keeper.lost:
            with suppress(LeaseLostError):
                desk.jobs.release(lease)
        return 0
    except LeaseLostError:
        log.warning("%s went to another worker", lease.job.id)
        return 0
    except DatabaseUnavailableError:
        raise  # nothing can be written now; the lease runs out and the job is taken up again
    except StorageError as error:
        keeper.halt()
        return _try_again(lease, error, desk, stop)
    else:
        return 1
    finally:
        keeper.halt()


def _run(job: Job, desk: Desk, keeper: "_Keeper") -> Finish:
    prompt = desk.read_text(job.prompt_ref) if job.prompt_ref else None
    return sequence.run(
        job, prompt, desk.parts, enter=keeper.enter, on_step=keeper.on_step, cancelled=lambda: keeper.cancel_requested
    )


def _try_again(lease: Lease, error: StorageError, desk: Desk, stop: threading.Event) -> int:
    """Blobs or records could not be written: back to the queue, until the attempts are used up."""
    log.warning("%s: %s (attempt %d)", lease.job.id, error, lease.job.attempts)
    try:
        if lease.job.attempts < desk.leasing.max_attempts:
            desk.jobs.release(lease, count_attempt=True)
            stop.wait(desk.leasing.poll_seconds)  # do not spin on a full disk
            return 0
        desk.jobs.finish(replace(sequence.gave_up(lease.job, error, desk.parts), lease_token=lease.token))
    except StorageError as again:
        log.error("%s: %s", lease.job.id, again)  # noqa: TRY400 - expected while the disk is full; the lease runs out
        stop.wait(desk.leasing.poll_seconds)
        return 0
    return 1


class _Keeper(threading.Thread):
    """Keeps the lease of one job alive, writes its progress, and hears of a wish to cancel."""

    def __init__(self, lease: Lease, desk: Desk, stop: threading.Event) -> None:
        super().__init__(name=f"keeper of {lease.job.id}", daemon=True)
        self._lease = lease
        self._desk = desk
        self._told_to_stop = stop
        self._halted = threading.Event()
        self._written = 0.0
        self.cancel_requested = lease.job.cancel_requested
        self.lost = False

    @override
    def run(self) -> None:
        """Beat three times per lease, whatever the model is doing."""
        while not self._halted.wait(self._desk.leasing.lease_seconds / 3):
            try:
                self._beat()
                _report(self._desk)
            except LeaseLostError:
                self.lost = True
                return
            except StorageError as error:
                log.warning("no beat for %s: %s", self._lease.job.id, error)

    def halt(self) -> None:
        """End the thread; safe to call twice."""
        self._halted.set()
        if self.is_alive() and threading.current_thread() is not self:
            self.join()

    def enter(self, state: JobState) -> None:
        """Write the state the job enters; cancelling before the edit is `cancelled()`'s affair."""
        self._interrupt_if_told()
        self._beat(state=state)

    def on_step(self, progress: Progress) -> None:
        """Write progress, at most every `PROGRESS_SECONDS`."""
        self._interrupt_if_told()
        now = time.monotonic()
        if now - self._written >= PROGRESS_SECONDS or progress.step == progress.steps:
            self._written = now
            try:
                self._beat(step=progress.step, steps=progress.steps)
            except LeaseLostError:
                self.lost = True
                raise JobInterrupted from None
            except StorageError as error:
                log.warning("progress of %s not written: %s", self._lease.job.id, error)

    def _beat(self, *, state: JobState | None = None, step: int | None = None, steps: int | None = None) -> None:
        seconds = self._desk.leasing.lease_seconds
        if self._desk.jobs.beat(self._lease, seconds, state=state, step=step, steps=steps):
            self.cancel_requested = True

    def _interrupt_if_told(self) -> None:
        if self._told_to_stop.is_set() or self.lost:
            raise JobInterrupted


def _report(desk: Desk) -> None:
    desk.workers.beat(desk.leasing.worker_id, pid=os.getpid(), host=os.uname().nodename, facts=desk.facts())
