"""What an auditor reads about a job: the body of its provenance record. Pure: values in, JSON out.

The body holds no personal text: prompt and negative prompt lie in the vault, under one reference. Seeds are decimal
strings, digests are lower hex SHA-256, times are RFC 3339 in UTC.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, Final, Self

from editing import BlendFacts, EditFacts, Raster, Sampling, Seam
from editing.sniffing import sniff_media_type
from policy import Decision, Verdict, combine
from policy.tolerance import DEFAULT_TOLERANCE
from storage import Job, NewImage, NewRecord, Origin, Outcome
from studio import __version__
from studio.jobs.public import notice_of

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
    """What is known about a job so far; grows as it runs.

    Attributes:
        job: The leased job.
        started_at: When this attempt began, UTC.
        requester: Who asked: role, declared purpose and tolerance of the key.
        inputs: Every picture that came in.
        request_verdict: What the policy said of the request.
        edits: How each variant was painted, in order; those that were refused afterwards too.
        output_verdicts: What the policy said of each, in order.
        outputs: The files that were stored: of the first variants, none of them if one was refused.
        error: Code and sentence of a failure.
        shadow: What a candidate rule set said of the request, if there is one; it decided nothing.
    """

    job: Job
    started_at: datetime
    requester: Mapping[str, Any]
    inputs: tuple[Input, ...] = ()
    request_verdict: Verdict | None = None
    edits: tuple[EditFacts, ...] = ()
    output_verdicts: tuple[Verdict, ...] = ()
    outputs: tuple[PictureFile, ...] = ()
    error: tuple[str, str] | None = None
    shadow: Mapping[str, Any] | None = None

    @property
    def tolerance(self) -> int:
        """How much the policy lets pass: as the request was accepted; less if the key's was lowered since."""
        own: int = self.requester.get("safety_tolerance", DEFAULT_TOLERANCE)
        accepted: int = self.job.parameters.get("safety_tolerance", own)
        return min(accepted, own)

    @property
    def verdict(self) -> Verdict | None:
        """Everything the policy said about this job."""
        if self.request_verdict is None or not self.output_verdicts:
            return self.request_verdict
        verdicts = (self.request_verdict, *self.output_verdicts)
        return combine(
            [finding for each in verdicts for finding in each.findings],
            policy_version=verdicts[-1].policy_version,
            policy_digest=verdicts[-1].policy_digest,
        )

    def painted(self, facts: EditFacts) -> Self:
        """With one more variant painted."""
        return replace(self, edits=(*self.edits, facts))

    def screened(self, verdict: Verdict) -> Self:
        """With one more finished picture screened."""
        return replace(self, output_verdicts=(*self.output_verdicts, verdict))


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
        outputs=[each.to_json() | seed_of(facts) for each, facts in zip(run.outputs, run.edits, strict=False)],
        model=model_of(run.edits[0]) if run.edits else None,
        variants=[variant_of(each) for each in run.edits] if job.parameters.get("n", 1) > 1 else None,
        policy=policy_of(run.verdict, run.tolerance) if run.verdict else None,
        notices=notices_of(run.verdict),
        shadow=run.shadow and dict(run.shadow),
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
    *, owner: str, requester: Mapping[str, Any], picture: Input, verdict: Verdict, tolerance: int, now: datetime
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
        policy=policy_of(verdict, tolerance),
        notices=notices_of(verdict),
        times={"created": stamp(now), "finished": stamp(now)},
    )
    parents = (picture.parent,) if picture.parent else ()
    return NewRecord(owner=owner, operation="upload", outcome=outcome, body=body, parents=parents)


def policy_of(verdict: Verdict, tolerance: int) -> dict[str, Any]:
    """The policy's part of the body: version, digest, tolerance, and every finding, the allowing ones too."""
    return verdict.to_json() | {"safety_tolerance": tolerance}


def notices_of(verdict: Verdict | None) -> list[dict[str, Any]] | None:
    """What is to be said with the result, None for nothing."""
    return [notice_of(each) for each in verdict.notices] or None if verdict else None


def output_facts(run: Run) -> tuple[dict[str, Any], ...]:
    """What the job keeps about each stored output: its seed, its size, how visible its border is."""
    return tuple(
        {
            **seed_of(facts),
            "width": file.width,
            "height": file.height,
            "seam": facts.seam and seam_of(facts.seam),
        }
        for file, facts in zip(run.outputs, run.edits, strict=False)
    )


def model_of(facts: EditFacts) -> dict[str, Any]:
    """The model's part of the body; where there are several variants, of the first."""
    return {
        "checkpoint": facts.checkpoint,
        "checkpoints": dict(facts.checkpoints),
        "weights": dict(facts.weights),
        "route": facts.route,
        "sampling": facts.sampling and sampling_of(facts.sampling),
        "device": facts.device,
        "dtype": facts.dtype,
        "memory": dict(facts.memory),
        "threads": facts.threads,
        "versions": dict(facts.versions),
        "blend": facts.blend and blend_of(facts.blend),
        **painting_of(facts),
    }


def variant_of(facts: EditFacts) -> dict[str, Any]:
    """One of several variants: its seed, and how it was painted."""
    return {**seed_of(facts), **painting_of(facts)}


def seed_of(facts: EditFacts) -> dict[str, str]:
    """The seed a picture was painted on; nothing for a control map, which is not sampled."""
    return {} if facts.sampling is None else {"seed": str(facts.sampling.seed)}


def sampling_of(sampling: Sampling) -> dict[str, Any]:
    """How the model sampled."""
    return {
        "steps": sampling.steps,
        "guidance": sampling.guidance,
        "strength": sampling.strength,
        "true_cfg": sampling.true_cfg,
        "seed": str(sampling.seed),
    }


def painting_of(facts: EditFacts) -> dict[str, Any]:
    """What differs from variant to variant: where it was painted, in how many passes, and how well it joins."""
    return {
        "box": list(facts.box) if facts.box else None,
        "model_size": list(facts.model_size),
        "passes": [{"box": list(each.box), "size": list(each.size), "seed": str(each.seed)} for each in facts.passes],
        "seam": facts.seam and seam_of(facts.seam),
        "tries": [{"seed": str(each.seed), "score": _rounded(each.score)} for each in facts.tries],
        "exact_outside_mask": facts.exact_outside_mask,
        "seconds": {name: round(value, 3) for name, value in facts.seconds.items()},
    }


def blend_of(blend: BlendFacts) -> dict[str, Any]:
    """How an edit met the pixels that stay: everything that was decided."""
    return {name: value.value if isinstance(value, Enum) else value for name, value in asdict(blend).items()}


def seam_of(seam: Seam) -> dict[str, Any]:
    """How visible a border is, to four decimals."""
    return {
        "border_de": _rounded(seam.border_de),
        "own_de": _rounded(seam.own_de),
        "score": _rounded(seam.score),
        "length": seam.length,
    }


def stamp(moment: datetime) -> str:
    """RFC 3339 with microseconds, UTC."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _rounded(value: float) -> float:
    return round(float(value), 4)


def _some(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
