"""Taking a request in: validated whole, its pictures stored, its job queued. Steps 1 and 2 of every edit.

Everything that can be wrong with a request is found here, before anything is written. Then the pictures become blobs,
and last one transaction adds the job and its prompt: a request is either queued durably or has left nothing behind.
"""

import base64
import binascii
import hashlib
import math
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from editing import ControlKind, OperationError, Route, catalogue
from editing.blending import SEAM_RETRIES
from editing.opening import PictureLimits
from storage import ApiKey, BlobStore, Job, JobStore, NewJob, Role
from studio.jobs.operations import build
from studio.jobs.requests import Request
from studio.jobs.variants import check_count
from studio.problems import Problem

CREATORS: Final = frozenset({Role.EDITOR, Role.OPERATOR})
"""Roles that may ask for edits."""
ROUTED: Final = frozenset({"inpaint", "outpaint"})
"""Operations that more than one route can carry out; an erasure is always filled."""
SEED_BITS: Final = 53
"""Bits of a seed that we draw: exact in every JSON parser. Callers may give up to 64."""

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
_DATA_URI = re.compile(r"data:[^,]{0,200};base64,")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What accepting a request needs, chosen by `studio.bootstrap`.

    Attributes:
        owned: (digest, owner) -> whether that owner may use this image.
        licensed: Whether somebody accepted the licence of this checkpoint.
        prefer: Checkpoints for requests that name none, in order.
        max_queued: Most jobs waiting.
        max_model_steps: Most denoising steps that one request may take.
    """

    jobs: JobStore
    blobs: BlobStore
    owned: Callable[[str, str], bool]
    licensed: Callable[[str], bool]
    limits: PictureLimits
    prefer: Sequence[str]
    max_queued: int
    max_model_steps: int


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
    # 2 every picture by its digest
    files = _Files(caller.owner, intake)
    parameters, prompt = _parameters(request, files)
    _fill_in_defaults(request.operation, parameters, intake.prefer)
    _require_bounded(request.operation, parameters, intake.max_model_steps)
    # 3 the operation itself: this finds whatever `editing` would refuse
    build(request.operation, parameters, prompt, files.load, intake.limits)
    # 4 may its checkpoints load?
    for field, name in _checkpoints(parameters):
        _require_licence(name, field, intake.licensed)
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
            prompt=prompt,
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
    passes = catalogue.find(parameters["checkpoint"]).outpaint_passes if operation == "outpaint" else 1
    count = check_count(parameters["n"])
    tries = 1 + min(parameters.get("seam_retries") or 0, SEAM_RETRIES[1])
    steps = count * tries * passes * parameters["steps"]
    if steps > most:
        raise Problem(
            "work_too_large",
            f"This may take {steps} denoising steps ({count} variants x {tries} tries x {passes} passes x "
            f"{parameters['steps']} steps); one request may take {most}. Ask for fewer of any.",
            "n",
            steps,
            most,
        )


def _checkpoints(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every checkpoint that the job needs, with the field that names it."""
    found = [("checkpoint", parameters["checkpoint"])]
    for index, each in enumerate(parameters.get("controls", ())):
        found.append((f"controls[{index}].checkpoint", each["checkpoint"]))
    if "inpainting_controlnet" in parameters:
        found.append(("inpainting_controlnet", parameters["inpainting_controlnet"]))
    return found


def _require_licence(name: str, field: str, licensed: Callable[[str], bool]) -> None:
    """The engine asks again before it loads; asking here saves the caller a job that can only fail."""
    checkpoint = catalogue.find(name)
    if checkpoint.needs_acceptance and not licensed(name):
        raise Problem(
            "licence_not_accepted",
            f"{name} is under the {checkpoint.licence}; an operator must run studio models accept {name} first.",
            field,
            name,
            checkpoint.licence,
        )


def picture_bytes(text: str, field: str, limits: PictureLimits) -> bytes:
    """Decode the base64 of a picture.

    Raises:
        Problem: `base64_invalid`, or `picture_too_large` if it holds more bytes than the limit.
    """
    encoded = _DATA_URI.sub("", text, count=1) if text.startswith("data:") else text
    if len(encoded) * 3 // 4 > limits.max_bytes + 4:
        raise Problem(
            "picture_too_large",
            f"{field} may have up to {limits.max_bytes} bytes",
            field,
            len(encoded) * 3 // 4,
            limits.max_bytes,
            status_code=413,
        )
    try:
        return base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(
            "base64_invalid",
            f"{field} must be base64 of a picture file, or the digest of an uploaded image (64 hex digits)",
            field,
        ) from error


class _Files:
    """The pictures of one request: given inline, or by the digest of an image the caller may use."""

    def __init__(self, owner: str, intake: Intake) -> None:
        self._owner = owner
        self._intake = intake
        self.given: dict[str, bytes] = {}
        self.used: dict[str, None] = {}

    def digest(self, text: str, field: str) -> str:
        named = _DIGEST.fullmatch(text)
        if named:
            digest = named[1].lower()
            if digest not in self.given and not self._intake.owned(digest, self._owner):
                raise Problem(
                    "image_not_found",
                    f"{field} names an image that does not exist or is not yours; upload it with POST /v1/images",
                    field,
                    digest,
                )
        else:
            data = picture_bytes(text, field, self._intake.limits)
            digest = hashlib.sha256(data).hexdigest()
            self.given[digest] = data
        self.used[digest] = None
        return digest

    def load(self, digest: str) -> bytes:
        return self.given[digest] if digest in self.given else self._intake.blobs.get(digest)


def _parameters(request: Request, files: _Files) -> tuple[dict[str, Any], str | None]:
    """What the job keeps: pictures by digest, the prompt apart, nothing that was not said."""
    parameters = request.model_dump(mode="json", exclude_none=True)
    prompt: str | None = parameters.pop("prompt", None)
    for name in request.pictures:
        parameters[name] = files.digest(parameters[name], name)
    for index, control in enumerate(parameters.get("controls", ())):
        if "image" in control:
            control["image"] = files.digest(control["image"], f"controls[{index}].image")
    return parameters, prompt


def _fill_in_defaults(operation: str, parameters: dict[str, Any], prefer: Sequence[str]) -> None:
    """Make every choice now, so that the record says what ran and not what a later default would be."""
    controls: list[dict[str, Any]] = parameters.get("controls", [])
    kinds = [ControlKind(each["kind"]) for each in controls]
    name = parameters.get("checkpoint") or catalogue.pick(operation, kinds, prefer=prefer, route=_wanted(parameters))
    parameters["checkpoint"] = name
    checkpoint = catalogue.find(name)
    seed = parameters.get("seed")
    parameters["seed"] = str(secrets.randbits(SEED_BITS) if seed is None else seed)
    given = {key: parameters.get(key) for key in ("steps", "guidance", "strength")}
    sampling = checkpoint.sampling(operation, seed=int(parameters["seed"]), **given)
    parameters |= {"steps": sampling.steps, "guidance": sampling.guidance, "strength": sampling.strength}
    if "seam_limit" in parameters:
        parameters.setdefault("seam_retries", 1)
    if operation in ROUTED:
        _fill_in_route(parameters)
    if operation == "generate":
        side = math.isqrt(checkpoint.native_pixels)
        parameters.setdefault("width", side)
        parameters.setdefault("height", side)
    for index, control in enumerate(controls):
        _fill_in_control(control, index, name)


def _wanted(parameters: Mapping[str, Any]) -> Route | None:
    """The route that was asked for; naming its ControlNet asks for it too."""
    net = parameters.get("inpainting_controlnet")
    if net is not None:
        catalogue.find(net, field="inpainting_controlnet")  # a misspelt name is that, not a route nobody can take
    if "route" in parameters:
        return Route(parameters["route"])
    return None if net is None else Route.INPAINTING_CONTROLNET


def _fill_in_route(parameters: dict[str, Any]) -> None:
    asked = Route(parameters["route"]) if "route" in parameters else None
    route, controlnet = catalogue.resolve_route(
        parameters["checkpoint"], asked, parameters.get("inpainting_controlnet")
    )
    parameters["route"] = route.value
    if controlnet is not None:
        parameters["inpainting_controlnet"] = controlnet


def _fill_in_control(control: dict[str, Any], index: int, base: str) -> None:
    kind = ControlKind(control["kind"])
    field = f"controls[{index}].checkpoint"
    named: str | None = control.get("checkpoint")
    chosen = catalogue.find(named, field=field) if named else catalogue.pick_control(kind, base)
    defaults: Mapping[ControlKind, catalogue.ControlDefaults] = chosen.controls
    if kind not in defaults:
        raise OperationError(
            f"{chosen.name} serves no {kind.value} controls",
            code="control_unsupported",
            field=field,
            value=chosen.name,
            limit=sorted(each.value for each in defaults),
        )
    control["checkpoint"] = chosen.name
    for name in ("scale", "start", "end"):
        control.setdefault(name, getattr(defaults[kind], name))
