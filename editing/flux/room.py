"""FLUX.1's room: loads what a plan takes, and runs it on one crop after the other."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch

from editing.checkpoints import Family
from editing.colour import srgb_pixels
from editing.diffusion.lora_files import LoraShelf
from editing.diffusion.loras import LoraFile
from editing.diffusion.memo import Memo
from editing.diffusion.quiet import quiet_libraries
from editing.diffusion.rooms import Plan, Run, UsedWeights
from editing.diffusion.settings import EngineSettings
from editing.engine import Progress
from editing.entries import find
from editing.errors import EditCancelled, EditingError, EngineError
from editing.flux.conditions import Models, Text, joined
from editing.flux.emphasis import encode
from editing.flux.latents import LatentEncoder
from editing.flux.loading import CheckpointShelf, LoadedCheckpoint
from editing.flux.references import adapted, adapter_embeds, redux_tokens
from editing.flux.sampler import Sampling
from editing.guides import Reference, ReferenceKind
from editing.rasters import Pixels, Raster

KEPT_TEXTS = 32
"""Prompts whose embeddings are kept: 4.2 MB each for FLUX.1 in bfloat16."""
KEPT_PICTURES = 8
"""Pictures whose encodings are kept: 2 MB each at 1024x1024 in bfloat16."""
_RUN_ERRORS = (RuntimeError, ValueError, TypeError, LookupError)


class Flux1Room:
    """Runs FLUX.1 checkpoints; implements `editing.diffusion.rooms.Room`.

    Attributes:
        texts: Embeddings of the latest prompts.
        pictures: Encodings of the latest pictures.
    """

    def __init__(
        self,
        settings: EngineSettings,
        *,
        device: torch.device,
        dtype: torch.dtype,
        read_adapter: Callable[[str], bytes],
    ) -> None:
        """Set up; nothing is loaded yet.

        Args:
            settings: How to load.
            device: Where to run.
            dtype: Number format of the weights.
            read_adapter: Digest -> the bytes of an uploaded LoRA or embedding.
        """
        self._device = device
        self._shelf = CheckpointShelf(settings, device=device, dtype=dtype)
        self._loras = LoraShelf(settings, read_adapter)
        self.texts: Memo[Text] = Memo(kept=KEPT_TEXTS)
        self.pictures: Memo[Any] = Memo(kept=KEPT_PICTURES)

    def load(self, plan: Plan) -> "Flux1Painter":
        """Load what a plan takes; see `Room.load`.

        Args:
            plan: What is asked for.

        Returns:
            A painter for this edit.

        Raises:
            EngineError: A checkpoint cannot be loaded.
        """
        names = [checkpoint.name for checkpoint in plan.checkpoints]
        loaded = {
            checkpoint.name: self._shelf.get(checkpoint, beside=names)
            for checkpoint in plan.checkpoints
            if checkpoint.family not in {Family.LORA, Family.CONTROL_LORA}
        }
        of_family = lambda *families: {  # noqa: E731 - read as the table it is
            name: each for name, each in loaded.items() if each.checkpoint.family in families
        }
        channels = {
            control.checkpoint
            for control in plan.guides.controls
            if find(control.checkpoint).family in {Family.CONTROL, Family.CONTROL_LORA}
        }
        models = Models(
            main=loaded[plan.main.name],
            readers=of_family(Family.CONTROLNET),
            inpainting=loaded[plan.inpainting.name] if plan.inpainting else None,
            adapters=of_family(Family.REDUX, Family.IP_ADAPTER),
            channels=frozenset(channels),
            device=self._device,
        )
        files = self._loras.find(plan.guides.loras, plan.guides.controls)
        return Flux1Painter(models, self._loras, files, texts=self.texts, pictures=self.pictures)


class Flux1Painter:
    """Loaded weights, ready for the runs of one edit; implements `editing.diffusion.rooms.Painter`."""

    def __init__(
        self,
        models: Models,
        loras: LoraShelf,
        files: Sequence[LoraFile],
        *,
        texts: Memo[Text],
        pictures: Memo[Any],
    ) -> None:
        """Take up loaded weights.

        Args:
            models: What paints, and all that steers it.
            loras: Applies LoRAs.
            files: LoRAs of this edit.
            texts: Where embeddings are kept.
            pictures: Where encodings are kept.
        """
        self._models = models
        self._loras = loras
        self._files = files
        self._texts = texts
        main = models.main
        self._encoder = LatentEncoder(main.parts["vae"], pictures, main.part_digest("vae"))

    @property
    def weights(self) -> Sequence[UsedWeights]:
        """Everything that takes part in its runs."""
        models = self._models
        every = [models.main, *models.readers.values(), *models.adapters.values()]
        if models.inpainting is not None:
            every.append(models.inpainting)
        loaded = [each.used for each in {each.checkpoint.name: each for each in every}.values()]
        return [*loaded, *self._loras.used(self._files)]

    def paint(self, run: Run, *, on_step: Callable[[Progress], None], cancelled: Callable[[], bool]) -> Pixels:
        """Run the model once; see `Painter.paint`.

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
        if cancelled():
            raise EditCancelled
        callers = _Callers(on_step, cancelled)
        name = self._models.main.checkpoint.name
        try:
            with quiet_libraries(), torch.no_grad(), ExitStack() as stack:
                levels = self._levels(run, callers, stack)
        except EditingError:
            raise
        except _RUN_ERRORS as error:
            if error is callers.raised:
                raise
            raise EngineError(
                f"{name} failed while it ran: {error}", code="engine_failed", field="checkpoint", value=name
            ) from error
        if not np.isfinite(levels).all():
            raise EngineError(
                f"{name} gave back values that are not numbers", code="engine_failed", field="checkpoint", value=name
            )
        return np.asarray(np.rint(levels * 255.0), dtype=np.uint8)

    def _levels(self, run: Run, callers: "_Callers", stack: ExitStack) -> np.ndarray:
        guides = run.guides
        changed = {name: self._models.part[name] for name in ("transformer", "text_encoder", "text_encoder_2")}
        stack.enter_context(self._loras.applied(changed, self._files))
        redux = [each for each in guides.references if each.kind is ReferenceKind.REDUX]
        shown = [each for each in guides.references if each.kind is ReferenceKind.IP_ADAPTER]
        text = joined(self._text(run.prompt), [self._redux(each) for each in redux])
        negative = self._text(guides.negative_prompt) if run.sampling.true_cfg > 1.0 else None
        adapters = [self._models.adapters[each.checkpoint] for each in shown]
        stack.enter_context(adapted(self._models.part["transformer"], adapters, [each.weight for each in shown]))
        return Sampling(self._models, self._encoder, run).run(
            text,
            negative,
            embeds=[adapter_embeds(each, _pixels(of)) for each, of in zip(adapters, shown, strict=True)],
            unshown=[adapter_embeds(each, np.zeros((*run.size, 3), np.uint8)) for each in adapters] if negative else (),
            on_step=callers.on_step,
            cancelled=callers.cancelled,
        )

    def _text(self, prompt: str) -> Text:
        main = self._models.main
        digests = (*main.part_digest("text_encoder"), *main.part_digest("text_encoder_2"))
        length = main.checkpoint.max_sequence_length
        key = (prompt, length, digests, self._loras.text_key(self._files))
        return self._texts.get(key, lambda: _encoded(main, prompt, length))

    def _redux(self, reference: Reference) -> torch.Tensor:
        return redux_tokens(self._models.adapters[reference.checkpoint], _pixels(reference), reference.weight)


def _encoded(main: LoadedCheckpoint, prompt: str, length: int) -> Text:
    embeds, pooled = encode(main.parts, prompt, length)
    ids = torch.zeros(embeds.shape[1], 3).to(device=embeds.device, dtype=main.parts["text_encoder"].dtype)
    return Text(embeds=embeds, pooled=pooled, ids=ids)


def _pixels(reference: Reference) -> Pixels:
    raster: Raster = reference.picture
    return np.ascontiguousarray(srgb_pixels(raster))


class _Callers:
    """The callers' own functions; an error of theirs is remembered, since it is not the model's."""

    def __init__(self, on_step: Callable[[Progress], None], cancelled: Callable[[], bool]) -> None:
        self._on_step = on_step
        self._cancelled = cancelled
        self.raised: BaseException | None = None

    def on_step(self, progress: Progress) -> None:
        try:
            self._on_step(progress)
        except BaseException as error:
            self.raised = error
            raise

    def cancelled(self) -> bool:
        try:
            return self._cancelled()
        except BaseException as error:
            self.raised = error
            raise
