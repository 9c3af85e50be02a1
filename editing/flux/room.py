"""FLUX.1's room: loads what a plan takes, and runs it on one crop after the other."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from editing.checkpoints import Family
from editing.colour import srgb_pixels
from editing.diffusion.lora_files import UPLOADED, LoraShelf
from editing.diffusion.loras import LoraFile
from editing.diffusion.memo import Memo
from editing.diffusion.memory import Residency
from editing.diffusion.painting import painted, stop_if
from editing.diffusion.quiet import quiet_libraries
from editing.diffusion.rooms import Plan, Run, UsedWeights
from editing.diffusion.settings import EngineSettings
from editing.engine import Progress
from editing.entries import find
from editing.flux.conditions import Models, Text, joined
from editing.flux.embeddings import learnt
from editing.flux.emphasis import encode
from editing.flux.latents import LatentEncoder
from editing.flux.loading import CheckpointShelf, LoadedCheckpoint
from editing.flux.references import adapted, adapter_embeds, redux_tokens
from editing.flux.sampler import Denoising
from editing.guides import Guides, Reference, ReferenceKind
from editing.rasters import Pixels, Raster

KEPT_TEXTS = 32
"""Prompts whose embeddings are kept: 4.2 MB each for FLUX.1 in bfloat16."""
KEPT_PICTURES = 8
"""Pictures whose encodings are kept: 2 MB each at 1024x1024 in bfloat16."""
_BLACK = np.zeros((16, 16, 3), dtype=np.uint8)
"""What an image adapter sees in the second pass of true CFG."""


class Flux1Room:
    """Runs FLUX.1 checkpoints; implements `editing.diffusion.rooms.Room`.

    Attributes:
        texts: Embeddings of the latest prompts.
        pictures: Encodings of the latest pictures.
    """

    def __init__(
        self,
        settings: EngineSettings,
        residency: Residency,
        *,
        keeps: int = 2,
        read_adapter: Callable[[str], bytes],
    ) -> None:
        """Set up; nothing is loaded yet.

        Args:
            settings: Where weights lie.
            residency: Where models wait, and where they run.
            keeps: Checkpoints that paint which stay loaded.
            read_adapter: Digest -> the bytes of an uploaded LoRA or embedding.
        """
        self._residency = residency
        self._shelf = CheckpointShelf(settings, residency, keeps=keeps)
        self._loras = LoraShelf(settings, read_adapter)
        self._read_adapter = read_adapter
        self.texts: Memo[Text] = Memo(kept=KEPT_TEXTS if settings.remembers else 0)
        self.pictures: Memo[Any] = Memo(kept=KEPT_PICTURES if settings.remembers else 0)

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
        channels = {
            control.checkpoint
            for control in plan.guides.controls
            if find(control.checkpoint).family in {Family.CONTROL, Family.CONTROL_LORA}
        }
        models = Models(
            main=loaded[plan.main.name],
            readers=_of(loaded, Family.CONTROLNET),
            inpainting=loaded[plan.inpainting.name] if plan.inpainting else None,
            adapters=_of(loaded, Family.REDUX, Family.IP_ADAPTER),
            channels=frozenset(channels),
            residency=self._residency,
        )
        files = self._loras.find(plan.guides.loras, plan.guides.controls)
        tools = Tools(loras=self._loras, read_adapter=self._read_adapter, texts=self.texts, pictures=self.pictures)
        return Flux1Painter(models, plan.guides, files, tools)

    def release(self) -> None:
        """Let go of everything that is loaded or remembered; see `Room.release`."""
        self._shelf.release()
        self._loras.release()
        self.texts.clear()
        self.pictures.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What every edit of a room shares.

    Attributes:
        loras: Finds and applies LoRAs.
        read_adapter: Digest -> the bytes of an uploaded file.
        texts: Where embeddings are kept.
        pictures: Where encodings are kept.
    """

    loras: LoraShelf
    read_adapter: Callable[[str], bytes]
    texts: Memo[Text]
    pictures: Memo[Any]


class Flux1Painter:
    """Loaded weights, ready for the runs of one edit; implements `editing.diffusion.rooms.Painter`.

    Attributes:
        models: What paints, and all that steers it.
    """

    def __init__(self, models: Models, guides: Guides, files: Sequence[LoraFile], tools: Tools) -> None:
        """Take up loaded weights.

        Args:
            models: What paints, and all that steers it.
            guides: What steers it.
            files: LoRAs of this edit.
            tools: What every edit shares.
        """
        self.models = models
        self._guides = guides
        self._files = files
        self._tools = tools
        main = models.main
        self._encoder = LatentEncoder(main.parts["vae"], tools.pictures, main.part_digest("vae"), dtype=models.dtype)

    @property
    def weights(self) -> Sequence[UsedWeights]:
        """Everything that takes part in its runs."""
        models = self.models
        every = [models.main, *models.readers.values(), *models.adapters.values()]
        if models.inpainting is not None:
            every.append(models.inpainting)
        loaded = [each.used for each in {each.checkpoint.name: each for each in every}.values()]
        words = [
            UsedWeights(name=f"embedding:{each.token}", revision=UPLOADED, digests={"file": each.digest})
            for each in self._guides.embeddings
        ]
        return [*loaded, *self._tools.loras.used(self._files), *words]

    @property
    def memory(self) -> Mapping[str, object]:
        """How the weights are kept, for the record."""
        facts: Mapping[str, object] = self.models.residency.facts(self.models.modules)
        return facts

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
        stop_if(cancelled)
        with quiet_libraries(), self.models.residency.during(self.models.modules), ExitStack() as changes:
            return painted(
                lambda: self._begun(run, changes), self.models.main.checkpoint, on_step=on_step, cancelled=cancelled
            )

    @torch.no_grad()
    def _begun(self, run: Run, changes: ExitStack) -> Denoising:
        """Change the models for the time of this run, and encode what is said and shown."""
        guides = run.guides
        redux = [each for each in guides.references if each.kind is ReferenceKind.REDUX]
        shown = [each for each in guides.references if each.kind is ReferenceKind.IP_ADAPTER]
        adapters = [self.models.adapters[each.checkpoint] for each in shown]
        changed = {name: self.models.part[name] for name in ("transformer", "text_encoder", "text_encoder_2")}
        changes.enter_context(self._tools.loras.applied(changed, self._files))
        words = changes.enter_context(learnt(self.models.part, guides.embeddings, self._tools.read_adapter))
        changes.enter_context(adapted(self.models, adapters, [each.weight for each in shown]))
        text = joined(self._text(run.prompt, words), [self._redux(each) for each in redux])
        negative = self._text(guides.negative_prompt, words) if run.sampling.true_cfg > 1.0 else None
        return Denoising(
            self.models,
            self._encoder,
            run,
            text,
            negative,
            embeds=[adapter_embeds(each, _pixels(of), self.models) for each, of in zip(adapters, shown, strict=True)],
            unshown=[adapter_embeds(each, _BLACK, self.models) for each in adapters] if negative else (),
        )

    def _text(self, prompt: str, words: Mapping[str, Any]) -> Text:
        main = self.models.main
        length = main.checkpoint.max_sequence_length
        key = (
            prompt,
            length,
            (*main.part_digest("text_encoder"), *main.part_digest("text_encoder_2"), *main.words),
            self._tools.loras.text_key(self._files),
            tuple((each.token, each.digest) for each in self._guides.embeddings),
        )
        return self._tools.texts.get(key, lambda: self._encoded(prompt, words, length))

    def _encoded(self, prompt: str, words: Mapping[str, Any], length: int) -> Text:
        device, dtype = self.models.device, self.models.dtype
        embeds, pooled = (each.to(device=device, dtype=dtype) for each in encode(words, prompt, length))
        return Text(embeds=embeds, pooled=pooled, ids=torch.zeros(embeds.shape[1], 3, device=device, dtype=dtype))

    def _redux(self, reference: Reference) -> torch.Tensor:
        redux = self.models.adapters[reference.checkpoint]
        return redux_tokens(redux, _pixels(reference), reference.weight, self.models)


def _of(loaded: Mapping[str, LoadedCheckpoint], *families: Family) -> dict[str, LoadedCheckpoint]:
    return {name: each for name, each in loaded.items() if each.checkpoint.family in families}


def _pixels(reference: Reference) -> Pixels:
    raster: Raster = reference.picture
    return np.ascontiguousarray(srgb_pixels(raster))
