"""One job, from its request to its record: what happens, in which order, and who can say no.

    1  rebuild   the stored request and its pictures          -> Operation
    2  screen    the words, every picture that came in, and how often the key asks for such
                                                              -> Cleared[Operation], or refused, or held
    for each variant asked for:
    3    edit    the model runs, outside the mask untouched   -> EditedImage, or cancelled, or failed
    4    screen  the picture that came out, then encode it    -> Cleared[Encoded], or refused, or held
    5  publish   store every blob                             -> digests
    6  record    job state, record, image rows: one transaction

Invariants:
- Nothing reaches the model but a `Cleared[Operation]`, no file is made but of a `Cleared[EditedImage]`, nothing is
  published but a `Cleared[Encoded]`. Only `policy.clear` makes them, so leaving out a screening does not type-check.
- Variants stand or fall together: nothing is stored before the last one has passed. One that is refused refuses the
  job; one that a person must see holds it there, with the pictures made so far.
- A refusal is an outcome, not an error: it ends in step 6 like a success, with the findings in the record.
- Blobs first, one transaction after. A crash anywhere leaves at worst a blob that nobody refers to, and the job is run
  again by whoever takes over the lease.
- An output that was refused is never stored. One that is held is stored, but no image row makes it readable. What came
  in with a refused request stays unreadable too, and goes with the next sweep.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from editing import EditCancelled, EditedImage, EditEngine, EditingError, EngineError, Operation, Progress
from editing.encoding import encode_picture, media_type
from editing.opening import PictureLimits
from policy import Cleared, Decision, Policy, Subject, Verdict, clear
from storage import BlobStore, Finish, Job, JobState, NewImage, Origin, Outcome, StorageError, sha256_hex
from studio.jobs import records, subjects
from studio.jobs.operations import Built, build
from studio.jobs.records import PictureFile, Run
from studio.jobs.shadow import Shadow
from studio.jobs.variants import Steps, output_name, variant
from studio.jobs.volume import VolumeWatch
from studio.jobs.words import read_words
from studio.policies import ActivePolicy

Enter = Callable[[JobState], None]
"""Called when the job enters a state; raises if the job is no longer ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What running a job needs, chosen by `studio.bootstrap`."""

    policies: ActivePolicy
    engine: EditEngine
    blobs: BlobStore
    limits: PictureLimits
    clock: Callable[[], datetime]
    parent: Callable[[str, str], str | None]
    """(digest, owner) -> id of the record that produced this image, if we did."""
    requester: Callable[[str], Mapping[str, Any]]
    """Key id -> who asked: role, declared purpose and tolerance."""
    report: Callable[[str, BaseException], None]
    """(job id, what an engine threw) -> the operator's log."""
    volume: VolumeWatch
    """Counts what each key asks for."""
    shadow: Shadow | None = None
    """A candidate rule set that is asked too and decides nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A finished picture as the file that will be stored, and what the record says about it."""

    data: bytes
    file: PictureFile


def run(
    job: Job,
    prompt: str | None,
    parts: Parts,
    *,
    enter: Enter,
    on_step: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> Finish:
    """Carry out one job.

    Args:
        job: The leased job.
        prompt: Its words as the vault kept them, None if it has none or if it was erased from the vault.
        parts: What does the work.
        enter: Told each state the job enters.
        on_step: Told each denoising step, counted over all variants.
        cancelled: Asked at least once a step; True ends the edit.

    Returns:
        What the job store commits in one transaction: state, record and images.

    Raises:
        StorageError: A blob could not be read or written; the job may be tried again.
    """
    trace = Run(job=job, started_at=parts.clock(), requester=parts.requester(job.key_id))
    policy = parts.policies.current()  # one for the whole job, whatever comes into force meanwhile
    try:
        # 1 rebuild
        enter(JobState.SCREENING)
        words = read_words(prompt, job.parameters)
        built = build(job.operation, job.parameters, words, parts.blobs.get, parts.limits)
        trace = replace(trace, inputs=_with_parents(built, job.owner, parts))
        # 2 screen what came in
        asked = subjects.of_request(built, job.parameters, trace.requester["purpose"])
        verdict = policy.screen(asked, tolerance=trace.tolerance)
        verdict = parts.volume.added_to(verdict, job, asked, policy.rule_set, trace.tolerance)
        trace = replace(trace, request_verdict=verdict, shadow=shadow_of(asked, trace.tolerance, verdict, parts))
        if verdict.decision is not Decision.ALLOW:
            return _end(trace, _outcome_of(verdict), parts)
        allowed = clear(built.operation, verdict)

        steps = Steps(on_step, built.variants)
        approved: list[Cleared[Encoded]] = []
        for number in range(built.variants):
            # 3 edit
            enter(JobState.EDITING)
            edited = edit(allowed, number, parts.engine, on_step=steps.of(number), cancelled=cancelled)
            trace = trace.painted(edited.facts)

            # 4 screen what came out
            enter(JobState.SCREENING_OUTPUT)
            verdict = screen_output(edited, output_name(number, built.variants), policy, trace.tolerance)
            trace = trace.screened(verdict)
            if verdict.decision is Decision.BLOCK:
                return _end(trace, Outcome.REFUSED, parts)
            if verdict.decision is Decision.REVIEW:
                so_far = [*(each.value for each in approved), encode(edited, built)]
                return _end(replace(trace, outputs=keep(so_far, parts.blobs)), Outcome.HELD, parts)
            approved.append(approve(clear(edited, verdict), built))
            del edited  # the next variant runs beside files, not beside rasters

        # 5 publish; 6 record: the caller commits what we return
        enter(JobState.PUBLISHING)
        return _end(replace(trace, outputs=publish(approved, parts.blobs)), Outcome.DONE, parts)
    except EditCancelled:
        return _end(trace, Outcome.CANCELLED, parts)
    except StorageError:
        raise  # the worker decides whether to try again
    except Exception as error:  # noqa: BLE001 - the worker's edge: whatever is thrown ends this job, not the worker
        parts.report(job.id, error)
        return _end(replace(trace, error=_public(error)), Outcome.FAILED, parts)


def shadow_of(asked: Sequence[Subject], tolerance: int, verdict: Verdict, parts: Parts) -> Mapping[str, Any] | None:
    """What a candidate rule set says of a request, for the record alone."""
    return parts.shadow.compare(asked, tolerance, verdict) if parts.shadow else None


def edit(
    operation: Cleared[Operation],
    number: int,
    engine: EditEngine,
    *,
    on_step: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> EditedImage:
    """Run the model on one variant of a request that was screened."""
    return engine.run(variant(operation.value, number), on_step=on_step, cancelled=cancelled)


def screen_output(edited: EditedImage, name: str, policy: Policy, tolerance: int) -> Verdict:
    """Screen a picture that came out."""
    return policy.screen(subjects.of_output(edited, name), tolerance=tolerance)


def approve(edited: Cleared[EditedImage], built: Built) -> Cleared[Encoded]:
    """Make the file of a picture that was screened."""
    return clear(encode(edited.value, built), edited.verdict)


def encode(edited: EditedImage, built: Built) -> Encoded:
    """Make the file that was asked for."""
    data = encode_picture(edited.raster, built.output_format, quality=built.quality)
    file = PictureFile.of(sha256_hex(data), data, edited.raster, media_type(built.output_format))
    return Encoded(data=data, file=file)


def publish(pictures: Sequence[Cleared[Encoded]], blobs: BlobStore) -> tuple[PictureFile, ...]:
    """Store pictures that were all screened."""
    return keep([each.value for each in pictures], blobs)


def keep(pictures: Sequence[Encoded], blobs: BlobStore) -> tuple[PictureFile, ...]:
    """Store pictures; without an image row (see `_finish`) nobody can read them back."""
    for each in pictures:
        blobs.put(each.data)
    return tuple(each.file for each in pictures)


def lost(job: Job, parts: Parts) -> Finish:
    """End a job whose workers were lost as often as is allowed."""
    trace = Run(job=job, started_at=job.started_at or parts.clock(), requester=parts.requester(job.key_id))
    detail = f"The worker was lost {job.attempts} times while it ran this job."
    return _end(replace(trace, error=("worker_lost", detail)), Outcome.FAILED, parts)


def gave_up(job: Job, error: StorageError, parts: Parts) -> Finish:
    """End a job whose storage failed as often as is allowed."""
    trace = Run(job=job, started_at=job.started_at or parts.clock(), requester=parts.requester(job.key_id))
    return _end(replace(trace, error=("storage_failed", type(error).__name__)), Outcome.FAILED, parts)


def cancel(job: Job, clock: Callable[[], datetime], requester: Mapping[str, Any]) -> Finish:
    """End a job that was cancelled before any worker took it."""
    return _finish(Run(job=job, started_at=clock(), requester=requester), Outcome.CANCELLED, clock())


def _public(error: Exception) -> tuple[str, str]:
    """What the caller is told of a failure: their own mistakes whole, ours by code, since messages may name paths."""
    if isinstance(error, EngineError):
        return error.code, "The checkpoint cannot run here now; the operator's log says why."
    if isinstance(error, EditingError):
        return error.code, str(error)
    return "engine_failed", type(error).__name__


def _outcome_of(verdict: Verdict) -> Outcome:
    return Outcome.HELD if verdict.decision is Decision.REVIEW else Outcome.REFUSED


def _with_parents(built: Built, owner: str, parts: Parts) -> tuple[records.Input, ...]:
    return tuple(replace(each, parent=parts.parent(each.file.file_sha256, owner)) for each in built.inputs)


def _end(trace: Run, outcome: Outcome, parts: Parts) -> Finish:
    return _finish(trace, outcome, parts.clock())


def _finish(trace: Run, outcome: Outcome, now: datetime) -> Finish:
    """Everything that the last transaction writes."""
    readable: tuple[NewImage, ...] = ()
    if trace.request_verdict is not None and trace.request_verdict.decision is Decision.ALLOW:
        readable = tuple(each.file.row(Origin.UPLOAD) for each in trace.inputs)
    if outcome is Outcome.DONE:
        readable += tuple(each.row(Origin.OUTPUT) for each in trace.outputs)
    error_code, error_detail = trace.error or (None, None)
    verdict = trace.verdict
    return Finish(
        job_id=trace.job.id,
        lease_token=None,  # the worker adds its own
        state=JobState(outcome.value),
        error_code=error_code,
        error_detail=error_detail,
        verdict=verdict.to_json() if verdict else None,
        record=records.new_record(trace, outcome, now),
        images=readable,
        withheld=tuple(each.file_sha256 for each in trace.outputs) if outcome is Outcome.HELD else (),
        output_facts=records.output_facts(trace),
    )
