"""Taking a request in: validated whole, its pictures stored, its job queued. Steps 1 and 2 of every edit.

Everything that can be wrong with a request is found here, before anything is written. Then the pictures become blobs,
and last one transaction adds the job and its prompt: a request is either queued durably or has left nothing behind.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from editing import Detector, OperationError, catalogue
from editing.blending import SEAM_RETRIES
from editing.detecting import DETECTORS, detectors_of
from editing.opening import PictureLimits
from policy.tolerance import LAXEST_TOLERANCE
from storage import AdapterStore, ApiKey, BlobStore, Job, JobStore, NewJob, Role
from studio.jobs.adapters import resolve_embeddings, resolve_loras
from studio.jobs.choices import CONTROL_MAP, Choosing, checkpoints_of, detectors_in, fill_in
from studio.jobs.files import Files
from studio.jobs.flags import take_flags
from studio.jobs.operations import build
from studio.jobs.requests import Request
from studio.jobs.variants import check_count
from studio.jobs.words import NEGATIVE, Words
from studio.problems import Problem

CREATORS: Final = frozenset({Role.EDITOR, Role.OPERATOR})
"""Roles that may ask for edits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What accepting a request needs, chosen by `studio.bootstrap`.

    Attributes:
        owned: (digest, owner) -> whether that owner may use this image.
        licensed: Whether somebody accepted the licence of this checkpoint.
        found: Whether the weights of this checkpoint are on this machine.
        prefer: Checkpoints for requests that name none, in order.
        max_queued: Most jobs waiting.
        max_model_steps: Most denoising steps that one request may take.
    """

    jobs: JobStore
    blobs: BlobStore
    adapters: AdapterStore
    owned: Callable[[str, str], bool]
    licensed: Callable[[str], bool]
    found: Callable[[str], bool]
    limits: PictureLimits
    prefer: Sequence[str]
    max_queued: int
    max_model_steps: int

    def at_hand(self, name: str) -> bool:
        """Whether the weights of this checkpoint are on this machine and may load."""
        return self.found(name) and self.may_load(name)

    def may_load(self, name: str) -> bool:
        """Whether the licence of this checkpoint is free, or somebody accepted it."""
        return not catalogue.find(name).needs_acceptance or self.licensed(name)


def accept(request: Request, caller: ApiKey, intake: Intake) -> Job:
    """Queue a job for a request.

    Args:
        request: The request, its shape already valid.
        caller: Who asks.
        intake: What does the work.

    Returns:
        The queued job.

    Raises:
        Problem: A picture is not there or not the caller's, or too many jobs wait.
        EditingError: A picture cannot be read, a mask does not fit, a value is out of range.
        StorageError: The disk is full, or the database cannot be reached.
    """
    # 1 may they, and is there room? Asked first: under load, decoding pictures only to say no would make it worse
    require_role(caller, CREATORS)
    _require_room(intake)
    # 2 every picture by its digest, the words apart, every choice made
    files = Files(caller.owner, owned=intake.owned, read=intake.blobs.get, limits=intake.limits)
    parameters, words = _parameters(request, files)
    fill_in(request.operation, parameters, negative=bool(words.negative), choosing=_choosing(caller.owner, intake))
    _require_bounded(request.operation, parameters, intake.max_model_steps)
    parameters["safety_tolerance"] = tolerance_of(request.safety_tolerance, caller)
    # 3 the operation itself: this finds whatever `editing` would refuse
    build(request.operation, parameters, words, files.load, intake.limits)
    # 4 may its checkpoints load?
    for field, name in checkpoints_of(parameters):
        _require_licence(name, field, intake.may_load)
    for field, detector in detectors_in(parameters):
        _require_weights(detector, field, intake.at_hand)
    # 5 blobs first, one transaction after
    for data in files.given.values():
        intake.blobs.put(data)
    return intake.jobs.enqueue(
        NewJob(
            owner=caller.owner,
            key_id=caller.id,
            operation=request.operation,
            checkpoint=parameters["checkpoint"],
            parameters=parameters,
            prompt=words.kept,
            inputs=tuple(files.used),
        )
    )


def require_role(caller: ApiKey, allowed: frozenset[Role]) -> None:
    """Let only some roles through, on every face.

    Raises:
        Problem: `role_forbidden`.
    """
    if caller.role not in allowed:
        raise Problem(
            "role_forbidden",
            f"A key with the role {caller.role.value} may not do this; it takes one of {', '.join(sorted(allowed))}.",
            value=caller.role.value,
            limit=sorted(each.value for each in allowed),
        )


def tolerance_of(asked: int | None, caller: ApiKey) -> int:
    """How much the policy lets pass for one request: what its key has, or less.

    Args:
        asked: What the request says, None for nothing.
        caller: Who asks.

    Raises:
        Problem: `safety_tolerance_out_of_range` or `safety_tolerance_too_high`.
    """
    if asked is None:
        return caller.safety_tolerance
    field = "safety_tolerance"
    if not 0 <= asked <= LAXEST_TOLERANCE:
        raise Problem(
            "safety_tolerance_out_of_range",
            f"{field} must lie in 0..{LAXEST_TOLERANCE}, got {asked}.",
            field,
            asked,
            [0, LAXEST_TOLERANCE],
        )
    if asked > caller.safety_tolerance:
        raise Problem(
            "safety_tolerance_too_high",
            f"A request may only be stricter than its key, whose {field} is {caller.safety_tolerance}; got {asked}.",
            field,
            asked,
            caller.safety_tolerance,
        )
    return asked


def _require_room(intake: Intake) -> None:
    waiting = intake.jobs.waiting()
    if waiting >= intake.max_queued:
        raise Problem(
            "queue_full",
            f"{waiting} jobs are waiting and {intake.max_queued} is the limit; try again later.",
            value=waiting,
            limit=intake.max_queued,
        )


def _require_bounded(operation: str, parameters: Mapping[str, Any], most: int) -> None:
    """One request must not hold a worker for hours: count what it may take at most."""
    if operation == CONTROL_MAP:
        return
    passes = catalogue.find(parameters["checkpoint"]).outpaint_passes if operation == "outpaint" else 1
    count = check_count(parameters["n"])
    tries = 1 + min(parameters.get("seam_retries") or 0, SEAM_RETRIES[1])
    twice = 2 if parameters["true_cfg"] > 1 else 1
    steps = count * tries * passes * parameters["steps"] * twice
    if steps > most:
        doubled = " x 2 for true CFG" if twice > 1 else ""
        raise Problem(
            "work_too_large",
            f"This may take {steps} denoising steps ({count} variants x {tries} tries x {passes} passes x "
            f"{parameters['steps']} steps{doubled}); one request may take {most}. Ask for fewer of any.",
            "n",
            steps,
            most,
        )


def _require_licence(name: str, field: str, may_load: Callable[[str], bool]) -> None:
    """The engine asks again before it loads; asking here saves the caller a job that can only fail."""
    if not may_load(name):
        licence = catalogue.find(name).licence
        raise Problem(
            "licence_not_accepted",
            f"{name} is under the {licence}; an operator must run studio models accept {name} first.",
            field,
            name,
            licence,
        )


def _require_weights(detector: Detector, field: str, at_hand: Callable[[str], bool]) -> None:
    """A detector's weights must be here: a control must not fail after its request was accepted."""
    facts = DETECTORS[detector]
    if all(map(at_hand, facts.checkpoints)):
        return
    needed = " and ".join(facts.checkpoints)
    able = [each.value for each in detectors_of(facts.kind) if all(map(at_hand, DETECTORS[each].checkpoints))]
    raise OperationError(
        f"{detector.value} needs the weights of {needed}, which are not on this machine; "
        f"{'take ' + ' or '.join(able) if able else 'install them'}, or give a finished control image with mode as_is",
        code="detector_unavailable",
        field=field,
        value=detector.value,
        limit=[*able, "as_is"],
    )


def _choosing(owner: str, intake: Intake) -> Choosing:
    return Choosing(
        prefer=intake.prefer,
        at_hand=intake.at_hand,
        loras=lambda given, checkpoint: resolve_loras(given, owner, intake.adapters, checkpoint),
        embeddings=lambda given, checkpoint: resolve_embeddings(given, owner, intake.adapters, checkpoint),
    )


def _parameters(request: Request, files: Files) -> tuple[dict[str, Any], Words]:
    """What the job keeps: pictures by digest, the words apart, nothing that was not said."""
    given = request.model_dump(mode="json", exclude_none=True)
    for name in ("negative_prompt", "controls", "loras", "references", "embeddings", "others"):
        if name in given and not given[name]:
            del given[name]
    flagged: bool = given.get("prompt_flags", False)
    prompt, parameters = take_flags(request.operation, given.pop("prompt", None), given, flagged)
    negative: str = parameters.pop("negative_prompt", "")
    if negative:
        parameters[NEGATIVE] = True
    _take_pictures(request, parameters, files)
    return parameters, Words(prompt=prompt, negative=negative)


def _take_pictures(request: Request, parameters: dict[str, Any], files: Files) -> None:
    for name in request.pictures:
        parameters[name] = files.digest(parameters[name], name)
    for group in ("controls", "references"):
        for index, each in enumerate(parameters.get(group, ())):
            if "image" in each:
                each["image"] = files.digest(each["image"], f"{group}[{index}].image")
    if "others" in parameters:
        others = enumerate(parameters["others"])
        parameters["others"] = [files.digest(text, f"others[{index}]") for index, text in others]
