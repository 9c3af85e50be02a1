"""The room: FLUX.2 [klein] behind `editing.diffusion.rooms`."""

from collections.abc import Callable, Mapping, Sequence

import torch

from editing.checkpoints import Architecture
from editing.diffusion.lora_files import LoraShelf
from editing.diffusion.loras import LoraFile
from editing.diffusion.memory import Residency
from editing.diffusion.painting import painted, stop_if
from editing.diffusion.rooms import Plan, Run, UsedWeights
from editing.diffusion.settings import EngineSettings
from editing.engine import Progress
from editing.errors import OperationError
from editing.flux2.conditioning import KEPT, Conditioner
from editing.flux2.latents import fitted
from editing.flux2.loading import KleinShelf, LoadedKlein
from editing.flux2.sampler import Conditions, Denoising
from editing.prompts import plain_text, require_plain
from editing.rasters import Pixels


class Flux2Room:
    """Loads FLUX.2 [klein] and hands out painters; implements `editing.diffusion.rooms.Room`.

    Attributes:
        conditioner: What encodes prompts and pictures, and remembers them; its memos count what was saved.
    """

    def __init__(
        self,
        settings: EngineSettings,
        residency: Residency,
        *,
        read_adapter: Callable[[str], bytes],
    ) -> None:
        """Set up; nothing is loaded yet.

        Args:
            settings: The engine's settings.
            residency: Where and how models run, and where they wait.
            read_adapter: Digest -> the bytes of an uploaded LoRA.
        """
        self._residency = residency
        self._shelf = KleinShelf(settings, residency)
        self._loras = LoraShelf(settings, read_adapter, architecture=Architecture.FLUX2)
        self.conditioner = Conditioner(
            device=residency.device, dtype=residency.dtype, kept=KEPT if settings.remembers else 0
        )

    def load(self, plan: Plan) -> "KleinPainter":
        """Load what a plan takes; see `Room.load`.

        Args:
            plan: What is asked for.

        Returns:
            A painter for this edit.

        Raises:
            EngineError: `weights_missing`, `revision_unpinned`, `weights_unreadable` or `weights_unsuitable`.
            OperationError: `embedding_unsupported`.
        """
        if plan.guides.embeddings:
            raise OperationError(
                f"{plan.main.name} reads its prompt through a language model, which takes no learnt words; take a "
                "FLUX.1 checkpoint",
                code="embedding_unsupported",
                field="embeddings",
                value=plan.main.name,
            )
        files = self._loras.find(plan.guides.loras)
        loaded = self._shelf.get(plan.main)
        return KleinPainter(loaded, self.conditioner, self._loras, files, residency=self._residency)

    def release(self) -> None:
        """Let go of the weights and of everything remembered, to make room for another architecture."""
        self._shelf.release()
        self._loras.release()
        self.conditioner.prompts.clear()
        self.conditioner.pictures.clear()


class KleinPainter:
    """A loaded checkpoint, ready for the runs of one edit; implements `editing.diffusion.rooms.Painter`."""

    def __init__(
        self,
        loaded: LoadedKlein,
        conditioner: Conditioner,
        loras: LoraShelf,
        files: Sequence[LoraFile],
        *,
        residency: Residency,
    ) -> None:
        """Set up.

        Args:
            loaded: The checkpoint.
            conditioner: What encodes prompts and pictures.
            loras: Applies LoRAs.
            files: LoRAs of this edit.
            residency: Has the models at hand while they run.
        """
        self._loaded = loaded
        self._conditioner = conditioner
        self._loras = loras
        self._files = files
        self._residency = residency

    @property
    def weights(self) -> Sequence[UsedWeights]:
        """Everything that takes part in its runs."""
        return (self._loaded.used, *self._loras.used(self._files))

    @property
    def memory(self) -> Mapping[str, object]:
        """How the weights are kept, for the record."""
        return self._residency.facts(self._loaded.models)

    def paint(self, run: Run, *, on_step: Callable[[Progress], None], cancelled: Callable[[], bool]) -> Pixels:
        """Run the model once; see `Painter.paint`.

        A run without `pixels` makes a picture from words; one with `pixels` and no mask follows an instruction, and
        sees them and `others`; one with a mask sees them too, and paints only what the mask says.

        Args:
            run: What to run.
            on_step: Called after each step.
            cancelled: Asked before anything is encoded, before the first step and after each: the last time before
                decoding.

        Returns:
            uint8 (h, w, 3), 0..255, sRGB, of the run's size.

        Raises:
            EditCancelled: `cancelled()` said so.
            EngineError: `engine_failed`.
            OperationError: `prompt_weights_unsupported`, or a LoRA does not fit.
        """
        stop_if(cancelled)
        changed = {"transformer": self._loaded.transformer}
        with self._residency.during(self._loaded.models), self._loras.applied(changed, self._files):
            return painted(
                lambda: Denoising(self._loaded, run, self._conditions(run)),
                self._loaded.checkpoint,
                on_step=on_step,
                cancelled=cancelled,
            )

    @torch.no_grad()
    def _conditions(self, run: Run) -> Conditions:
        seen = [] if run.pixels is None else [self._conditioner.picture(self._loaded, run.pixels)]
        most = self._loaded.checkpoint.max_pixels
        others = [self._conditioner.picture(self._loaded, fitted(pixels, most=most)) for pixels in run.others]
        return Conditions(
            prompt=self._encoded(run.prompt),
            negative=self._encoded(run.guides.negative_prompt) if run.sampling.true_cfg > 1.0 else None,
            references=(*seen, *others),
            clean=seen[0] if run.mask is not None and seen else None,
        )

    def _encoded(self, prompt: str) -> torch.Tensor:
        require_plain(prompt, self._loaded.checkpoint)
        return self._conditioner.prompt(self._loaded, plain_text(prompt))
