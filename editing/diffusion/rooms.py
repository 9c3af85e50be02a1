"""Rooms: the protocol between the engine and an architecture's own code, so that a new one is a new folder.

    Plan ──► Room.load ──► Painter ──► paint(Run) ──► pixels
             (weights)                 (one run of the model; a large edit takes several)

The engine plans, crops, blends and writes down; a room loads weights and runs a model on one crop. No torch here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from editing.blending import Route
from editing.catalogue import find, resolve_route
from editing.checkpoints import Checkpoint
from editing.engine import Progress
from editing.guides import Guides
from editing.operations import Erase, Inpaint, Operation, Outpaint, Prompted, Sampling
from editing.rasters import Mask, Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which weights an operation takes, and by which route it is painted.

    Attributes:
        main: What paints.
        route: What the record says: `generate`, `img2img`, `instruct` or a `Route`.
        guides: What steers it.
        inpainting: The ControlNet that reads the masked picture, on the route of that name.
    """

    main: Checkpoint
    route: str
    guides: Guides = field(default_factory=Guides)
    inpainting: Checkpoint | None = None

    @classmethod
    def of(cls, operation: Operation) -> "Plan":
        """Plan an operation that was checked (`editing.catalogue.check_operation`).

        Args:
            operation: What to do; not a control map, which no model paints.

        Returns:
            Its plan.
        """
        main = find(operation.checkpoint)
        guides = operation.guides if isinstance(operation, Prompted) else Guides()
        if isinstance(operation, Inpaint | Outpaint):
            route, net = resolve_route(main.name, operation.route, operation.inpainting_controlnet)
            return cls(main=main, route=route.value, guides=guides, inpainting=find(net) if net else None)
        route_name = Route.FILL.value if isinstance(operation, Erase) else operation.name.value
        return cls(main=main, route=route_name, guides=guides)

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Every checkpoint it takes, each once; uploaded files are none."""
        named = [control.checkpoint for control in self.guides.controls]
        named += [reference.checkpoint for reference in self.guides.references]
        named += [lora.name for lora in self.guides.loras if lora.digest is None]
        every = [self.main, *([self.inpainting] if self.inpainting else []), *(find(name) for name in named)]
        return tuple({checkpoint.name: checkpoint for checkpoint in every}.values())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One run of a model, on one crop.

    Attributes:
        prompt: What to show, weights of its parts and learnt words still in it.
        size: Width and height, multiples of the checkpoint's.
        sampling: How to sample; `strength` plays no part where there are no `pixels`.
        pixels: What is there, uint8 (h, w, 3), sRGB, of the run's size; None to generate.
        mask: float32 (h, w), 1 paint at once .. 0 keep; a value v in between begins where strength v would. None to
            generate, for img2img and for instructions.
        images: uint8 (h, w, 3) each, of the run's size: the control images of `guides.controls`, in order.
        others: uint8 (h, w, 3) each, any size: further pictures of an instruction.
        guides: What steers it.
    """

    prompt: str
    size: tuple[int, int]
    sampling: Sampling
    pixels: Pixels | None = None
    mask: Mask | None = None
    images: Sequence[Pixels] = ()
    others: Sequence[Pixels] = ()
    guides: Guides = field(default_factory=Guides)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedWeights:
    """Weights that took part, for the record.

    Attributes:
        name: Of the checkpoint, or `lora:NAME` and `embedding:TOKEN` of an uploaded file.
        revision: `packaged`, `local`, `uploaded`, or the commit on the hub.
        digests: SHA-256 of every file that was loaded, by its path within the checkpoint.
    """

    name: str
    revision: str
    digests: Mapping[str, str]


class Painter(Protocol):
    """Loaded weights, ready for the runs of one edit."""

    @property
    def weights(self) -> Sequence[UsedWeights]:
        """Everything that takes part in its runs."""
        ...

    @property
    def memory(self) -> Mapping[str, object]:
        """How the weights are kept, for the record: a format that is not exact gives other pixels."""
        ...

    def paint(self, run: Run, *, on_step: Callable[[Progress], None], cancelled: Callable[[], bool]) -> Pixels:
        """Run the model once.

        Args:
            run: What to run.
            on_step: Called after each step.
            cancelled: Asked before the first step, after each step and before decoding.

        Returns:
            uint8 (h, w, 3), 0..255, sRGB, of the run's size.

        Raises:
            EditCancelled: `cancelled()` said so.
            EngineError: `engine_failed`.
        """
        ...


class Room(Protocol):
    """The code of one architecture."""

    def load(self, plan: Plan) -> Painter:
        """Load what a plan takes; what stays loaded between edits is the room's affair.

        Args:
            plan: What is asked for.

        Returns:
            A painter for this edit.

        Raises:
            EngineError: A checkpoint cannot be loaded.
            OperationError: An uploaded file does not fit the checkpoint.
        """
        ...

    def release(self) -> None:
        """Let go of everything that is loaded or remembered, to make room for another architecture."""
        ...
