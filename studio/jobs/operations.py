"""From what a job stores to what the engine runs: parameters and blobs become an `editing.Operation`.

The API calls this before it accepts a request and the worker calls it again before it runs one, so that whatever the
worker would refuse is refused at the door.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from editing import (
    Blend,
    ControlKind,
    ControlMap,
    Detector,
    Erase,
    Generate,
    Guides,
    Img2Img,
    Inpaint,
    Instruct,
    Intent,
    Join,
    Mask,
    Operation,
    OperationError,
    Outpaint,
    Placement,
    Prefill,
    Raster,
    Route,
    Sampling,
    SeamRetry,
)
from editing.catalogue import Checkpoint, check_operation
from editing.decoding import MaskPolarity, decode_mask, decode_picture
from editing.embeddings import check_words
from editing.encoding import OutputFormat, check_side
from editing.masks import threshold
from editing.opening import PictureLimits
from editing.prompts import parse_prompt, require_plain
from studio.jobs.guides import guides_of, thresholds
from studio.jobs.records import Input
from studio.jobs.variants import VARIANTS, check_count
from studio.jobs.words import Words

Load = Callable[[str], bytes]
"""Digest -> the bytes of a picture file."""

WORDLESS = frozenset({"erase", "control_map"})
"""Operations without a prompt."""
PICTURES_TOGETHER = 3
"""How many pictures of the largest size one request may hold: the picture, its mask, and one that steers."""
MARGINS = ("top", "right", "bottom", "left")
CANVAS = ("width", "height", "offset_x", "offset_y")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A picture that came in, with the file it came from.

    Attributes:
        role: Where in the request: `image`, `mask`, `controls[0].image`, `others[0]`.
        raster: Its pixels.
        facts: What the record says about it.
    """

    role: str
    raster: Raster
    facts: Input


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An operation, with what else the job needs to know about its request; `learnt` are the uploaded words it says."""

    operation: Operation
    variants: int
    sources: tuple[Source, ...]
    words: Words
    learnt: tuple[str, ...]
    output_format: OutputFormat
    quality: int | None

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What the record says about every picture that came in."""
        return tuple(each.facts for each in self.sources)


def build(operation: str, parameters: Mapping[str, Any], words: Words, load: Load, limits: PictureLimits) -> Built:
    """Make the operation that a job asks for.

    Args:
        operation: Its name, such as `generate`.
        parameters: What `studio.jobs.accept` stored: every default filled in, every picture a digest.
        words: What somebody wrote; no prompt for operations without one, or if it was erased from the vault since.
        load: Reads a picture file.
        limits: Largest pictures to decode.

    Returns:
        The operation and the pictures it was made from.

    Raises:
        EditingError: A picture cannot be read, a mask does not fit, a value is out of range, the prompt is gone.
    """
    if words.prompt is None and operation not in WORDLESS:
        raise OperationError(
            "the prompt was erased before the job ran; a picture without it would not be what was asked for",
            code="prompt_erased",
            field="prompt",
        )
    desk = _Desk(parameters, words, load, limits)
    made = _operation(operation, desk)
    _check_weights(words, check_operation(made))
    learnt = tuple(each["token"] for each in parameters.get("embeddings", ()))
    check_words((words.prompt or "", words.negative), learnt)
    output_format = OutputFormat(parameters.get("output_format", OutputFormat.PNG))
    check_side(_size_of(made), output_format)
    return Built(
        operation=made,
        variants=check_count(parameters.get("n", VARIANTS[0])),
        sources=tuple(desk.sources),
        words=words,
        learnt=learnt,
        output_format=output_format,
        quality=parameters.get("quality"),
    )


def _check_weights(words: Words, checkpoint: Checkpoint) -> None:
    """Weights must be well formed, and of use to the checkpoint."""
    for place, text in (("prompt", words.prompt or ""), ("negative_prompt", words.negative)):
        require_plain(text, checkpoint, place=place)
        parse_prompt(text, place=place)


def _operation(operation: str, desk: "_Desk") -> Operation:
    makers: dict[str, Callable[[], Operation]] = {
        "generate": desk.generate,
        "img2img": desk.img2img,
        "inpaint": desk.inpaint,
        "outpaint": desk.outpaint,
        "erase": desk.erase,
        "instruct": desk.instruct,
        "control_map": desk.control_map,
    }
    if operation not in makers:
        raise OperationError(f"there is no operation {operation}", code="operation_unknown", field="operation")
    return makers[operation]()


def _size_of(operation: Operation) -> tuple[int, int]:
    """Width and height of what it makes."""
    match operation:
        case Generate():
            return operation.width, operation.height
        case Img2Img() | Instruct():
            return operation.target
        case Outpaint():
            return operation.placement.width, operation.placement.height
        case Inpaint() | Erase() | ControlMap():
            return operation.picture.size


def place(picture: Raster, parameters: Mapping[str, Any]) -> Placement:
    """Where the old picture lies in the new canvas: by margins, or by an absolute canvas."""
    margins = [name for name in MARGINS if parameters.get(name) is not None]
    canvas = [name for name in CANVAS if parameters.get(name) is not None]
    if margins and canvas:
        raise OperationError(
            f"give margins or a canvas, not both: got {', '.join(margins + canvas)}",
            code="canvas_contradictory",
            field=canvas[0],
        )
    if not canvas:
        top, right, bottom, left = (parameters.get(name) or 0 for name in MARGINS)
        return Placement.from_margins(picture.size, top=top, right=right, bottom=bottom, left=left)
    width, height = (parameters.get(name) for name in ("width", "height"))
    return Placement.from_canvas(
        picture.size,
        width=picture.width if width is None else width,
        height=picture.height if height is None else height,
        offset_x=parameters.get("offset_x"),
        offset_y=parameters.get("offset_y"),
    )


class _Desk:
    """Makes the operation of one request: reads its pictures, once each, and remembers what it read."""

    def __init__(self, parameters: Mapping[str, Any], words: Words, load: Load, limits: PictureLimits) -> None:
        self._parameters = parameters
        self._words = words
        self._load = load
        self._limits = limits
        self.sources: list[Source] = []
        self._decoded: dict[str, Raster] = {}

    def generate(self) -> Generate:
        given = self._parameters
        return Generate(
            prompt=self._words.prompt or "",
            width=given["width"],
            height=given["height"],
            sampling=self.sampling(),
            guides=self.guides(),
            checkpoint=given["checkpoint"],
        )

    def img2img(self) -> Img2Img:
        size = self.size()
        return Img2Img(
            prompt=self._words.prompt or "",
            picture=self.picture("image"),
            size=size,
            sampling=self.sampling(),
            guides=self.guides(),
            checkpoint=self._parameters["checkpoint"],
        )

    def inpaint(self) -> Inpaint:
        picture = self.picture("image")
        return Inpaint(
            prompt=self._words.prompt or "",
            picture=picture,
            mask=self.mask(picture),
            sampling=self.sampling(),
            guides=self.guides(),
            checkpoint=self._parameters["checkpoint"],
            blend=self.blend(),
            route=self.route(),
            inpainting_controlnet=self._parameters.get("inpainting_controlnet"),
            retry=self.retry(),
        )

    def outpaint(self) -> Outpaint:
        picture = self.picture("image")
        placement = place(picture, self._parameters)
        self._check_canvas(placement)
        return Outpaint(
            prompt=self._words.prompt or "",
            picture=picture,
            placement=placement,
            sampling=self.sampling(),
            guides=self.guides(),
            checkpoint=self._parameters["checkpoint"],
            blend=self.blend(),
            route=self.route(),
            inpainting_controlnet=self._parameters.get("inpainting_controlnet"),
            retry=self.retry(),
        )

    def erase(self) -> Erase:
        picture = self.picture("image")
        return Erase(
            picture=picture,
            mask=self.mask(picture),
            sampling=self.sampling(),
            checkpoint=self._parameters["checkpoint"],
            blend=self.blend(),
            retry=self.retry(),
        )

    def instruct(self) -> Instruct:
        size = self.size()
        return Instruct(
            prompt=self._words.prompt or "",
            picture=self.picture("image"),
            others=tuple(
                self.picture(f"others[{index}]", digest)
                for index, digest in enumerate(self._parameters.get("others", ()))
            ),
            size=size,
            sampling=self.sampling(),
            guides=self.guides(),
            checkpoint=self._parameters["checkpoint"],
        )

    def control_map(self) -> ControlMap:
        given = self._parameters
        return ControlMap(
            kind=ControlKind(given["kind"]),
            picture=self.picture("image"),
            detector=Detector(given["detector"]),
            checkpoint=given["checkpoint"],
            **thresholds(given),
        )

    def guides(self) -> Guides:
        return guides_of(self._parameters, self._words.negative, self.picture)

    def picture(self, role: str, digest: str | None = None) -> Raster:
        digest = digest or self._parameters[role]
        data = self._load(digest)
        raster = self._decoded.get(digest) or decode_picture(data, self._limits, field=role)
        self._decoded[digest] = raster
        self._check_together(role)
        facts = Input.of(role, digest, data, raster)
        self.sources.append(Source(role=role, raster=raster, facts=facts))
        return raster

    def mask(self, picture: Raster) -> Mask:
        self.picture("mask")
        mask = decode_mask(
            self._load(self._parameters["mask"]),
            size=picture.size,
            limits=self._limits,
            polarity=MaskPolarity(self._parameters.get("mask_polarity", MaskPolarity.AUTO)),
            field="mask",
        )
        level = self._parameters.get("threshold")
        return mask if level is None else threshold(mask, level)

    def _check_together(self, role: str) -> None:
        """Each picture may be as large as the operator allows, but not a dozen at once: all are held decoded."""
        most = PICTURES_TOGETHER * self._limits.max_pixels
        pixels = sum(raster.width * raster.height for raster in self._decoded.values())
        if pixels > most:
            raise OperationError(
                f"the pictures of one request may have {most} pixels together, got {pixels} up to {role}; send smaller "
                "control and reference pictures",
                code="pictures_too_large",
                field=role,
                value=pixels,
                limit=most,
            )

    def _check_canvas(self, placement: Placement) -> None:
        """The operator's limit on pictures holds for what is made of them too."""
        pixels, most = placement.width * placement.height, self._limits.max_pixels
        if pixels > most:
            shown = f"{placement.width}x{placement.height}"
            raise OperationError(
                f"the canvas may have {most} pixels, got {shown} = {pixels}",
                code="canvas_too_large",
                field="canvas",
                value=shown,
                limit=most,
            )

    def size(self) -> tuple[int, int] | None:
        width, height = self._parameters.get("width"), self._parameters.get("height")
        if width is None and height is None:
            return None
        if width is None or height is None:
            raise OperationError(
                f"give width and height, or neither; got width {width} and height {height}",
                code="size_incomplete",
                field="height" if width is None else "width",
                value=height if width is None else width,
                limit=["width", "height"],
            )
        return width, height

    def sampling(self) -> Sampling:
        given = self._parameters
        return Sampling(
            steps=given["steps"],
            guidance=given["guidance"],
            seed=int(given["seed"]),
            strength=given["strength"],
            true_cfg=given.get("true_cfg", 1.0),  # jobs that were queued before it was kept
        )

    def blend(self) -> Blend:
        given = self._parameters
        return Blend(
            intent=Intent(given["intent"]) if "intent" in given else None,
            grow=given.get("grow"),
            soften=given.get("soften"),
            feather=given.get("feather"),
            context=given.get("context"),
            spill=given.get("spill", False),
            prefill=Prefill(given["prefill"]) if "prefill" in given else None,
            join=Join(given["join"]) if "join" in given else None,
            match_colour=given.get("match_colour", True),
            match_grain=given.get("match_grain", True),
        )

    def route(self) -> Route | None:
        return Route(self._parameters["route"]) if "route" in self._parameters else None

    def retry(self) -> SeamRetry | None:
        limit, attempts = self._parameters.get("seam_limit"), self._parameters.get("seam_retries")
        if limit is not None:
            return SeamRetry(limit=limit, attempts=1 if attempts is None else attempts)
        if attempts is not None:
            raise OperationError(
                f"seam_retries {attempts} needs a seam_limit too: the score over which an edit is painted again",
                code="seam_retry_incomplete",
                field="seam_retries",
                value=attempts,
                limit="seam_limit",
            )
        return None
