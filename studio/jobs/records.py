"""What an auditor reads about a job: the body of its provenance record. Pure: values in, JSON out.

The body holds no personal text: the prompt is a reference into the vault. Seeds are decimal strings, digests are lower
hex SHA-256, times are RFC 3339 in UTC.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Self

from editing import EditFacts, Raster
from editing.sniffing import sniff_media_type
from policy import Decision, Verdict, combine
from storage import Job, NewImage, NewRecord, Origin, Outcome
from studio import __version__

FORMAT: Final = 1
"""Version of the body's shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """A picture file, as a record describes it.

    Attributes:
        file_sha256: Digest of the file's bytes.
        pixel_sha256: Digest of the raster: decoded from the file, or encoded into it.
        media_type: Such as `image/png`.
        width: Columns.
        height: Rows.
        size_bytes: Length of the file.
    """

    file_sha256: str
    pixel_sha256: str
    media_type: str
    width: int
    height: int
    size_bytes: int

    @classmethod
    def of(cls, digest: str, data: bytes, raster: Raster, kind: str) -> Self:
        """Describe a file whose digest and raster are known."""
        return cls(
            file_sha256=digest,
            pixel_sha256=raster.pixel_sha256,
            media_type=kind,
            width=raster.width,
            height=raster.height,
            size_bytes=len(data),
        )

    def row(self, origin: Origin) -> NewImage:
        """The row that lets its owner read it back."""
        return NewImage(
            digest=self.file_sha256,
            pixel_sha256=self.pixel_sha256,
            media_type=self.media_type,
            width=self.width,
            height=self.height,
            size_bytes=self.size_bytes,
            origin=origin,
        )

    def to_json(self) -> dict[str, Any]:
        """Its part of the body."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A picture that came in.

    Attributes:
        role: Where in the request: `image`, `mask`, `controls[0].image`.
        file: The file.
        notes: What decoding did to it, such as `exif_rotated:6`.
        parent: The record that produced it, if it is an output of ours.
    """

    role: str
    file: PictureFile
    notes: tuple[str, ...] = ()
    parent: str | None = None

    @classmethod
    def of(cls, role: str, digest: str, data: bytes, raster: Raster) -> Self:
        """Describe a picture that came in and was decoded."""
        kind = sniff_media_type(data) or "application/octet-stream"
        return cls(role=role, file=PictureFile.of(digest, data, raster, kind), notes=raster.notes)

    def to_json(self) -> dict[str, Any]:
        """Its part of the body."""
        return _some(role=self.role, **self.file.to_json(), notes=list(self.notes), parent=self.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is known about a job so far; grows as it runs."""

    job: Job
    started_at: datetime
    requester: Mapping[str, str]
    inputs: tuple[Input, ...] = ()
    request_verdict: Verdict | None = None
    output_verdict: Verdict | None = None
    facts: EditFacts | None = None
    outputs: tuple[PictureFile, ...] = ()
    error: tuple[str, str] | None = None

    @property
    def verdict(self) -> Verdict | None:
        """Everything the policy said about this job."""
        first, second = self.request_verdict, self.output_verdict
        if first is None or second is None:
            return first
        return combine(
            [*first.findings, *second.findings],
            policy_version=second.policy_version,
            policy_digest=second.policy_digest,
        )


def new_record(run: Run, outcome: Outcome, finished_at: datetime) -> NewRecord:
    """The record of a job that has ended."""
    job = run.job
    body = _some(
        format=FORMAT,
        software={"name": "flux-studio", "version": __version__},
        operation=job.operation,
        outcome=outcome.value,
        job=job.id,
        requester={"owner": job.owner, "key": job.key_id, **run.requester},
        parameters=dict(job.parameters),
        prompt=job.prompt_ref and {"text": job.prompt_ref},
        seed=job.parameters.get("seed"),
        inputs=[each.to_json() for each in run.inputs] or [{"file_sha256": each} for each in job.inputs],
        outputs=[each.to_json() for each in run.outputs],
        model=run.facts and model_of(run.facts),
        policy=policy_of(run.verdict) if run.verdict else None,
        error=run.error and {"code": run.error[0], "detail": run.error[1]},
        attempts=job.attempts,
        times={
            "created": stamp(job.created_at),
            "started": stamp(run.started_at),
            "finished": stamp(finished_at),
        },
    )
    return NewRecord(
        owner=job.owner,
        operation=job.operation,
        outcome=outcome,
        body=body,
        parents=tuple(dict.fromkeys(each.parent for each in run.inputs if each.parent)),
    )


def upload_record(
    *, owner: str, requester: Mapping[str, str], picture: Input, verdict: Verdict, now: datetime
) -> NewRecord:
    """The record of an upload that was screened."""
    outcome = Outcome.DONE if verdict.decision is Decision.ALLOW else Outcome.REFUSED
    body = _some(
        format=FORMAT,
        software={"name": "flux-studio", "version": __version__},
        operation="upload",
        outcome=outcome.value,
        requester={"owner": owner, **requester},
        inputs=[picture.to_json()],
        outputs=[],
        policy=policy_of(verdict),
        times={"created": stamp(now), "finished": stamp(now)},
    )
    parents = (picture.parent,) if picture.parent else ()
    return NewRecord(owner=owner, operation="upload", outcome=outcome, body=body, parents=parents)


def policy_of(verdict: Verdict) -> dict[str, Any]:
    """The policy's part of the body: version, digest, and every finding, the allowing ones too."""
    return verdict.to_json()


def model_of(facts: EditFacts) -> dict[str, Any]:
    """The model's part of the body."""
    return {
        "checkpoint": facts.checkpoint,
        "checkpoints": dict(facts.checkpoints),
        "weights": dict(facts.weights),
        "route": facts.route,
        "sampling": {
            "steps": facts.sampling.steps,
            "guidance": facts.sampling.guidance,
            "strength": facts.sampling.strength,
            "seed": str(facts.sampling.seed),
        },
        "device": facts.device,
        "dtype": facts.dtype,
        "threads": facts.threads,
        "versions": dict(facts.versions),
        "box": list(facts.box) if facts.box else None,
        "model_size": list(facts.model_size),
        "exact_outside_mask": facts.exact_outside_mask,
        "seconds": {name: round(value, 3) for name, value in facts.seconds.items()},
    }


def stamp(moment: datetime) -> str:
    """RFC 3339 with microseconds, UTC."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _some(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
