"""LoRA files: from what a request names to files on disk or uploads, and to what the record says about them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from editing.checkpoints import Architecture, Checkpoint, Family
from editing.diffusion.loras import LoraFile, LoraRack
from editing.diffusion.rooms import UsedWeights
from editing.diffusion.settings import EngineSettings
from editing.diffusion.weights import Digests, locate, lora_file
from editing.entries import find
from editing.guides import Control, Lora

UPLOADED = "uploaded"
"""Revision of a file that somebody uploaded."""


class LoraShelf:
    """Finds the LoRAs of requests and applies them; one for each architecture."""

    def __init__(
        self, settings: EngineSettings, read: Callable[[str], bytes], *, architecture: Architecture = Architecture.FLUX1
    ) -> None:
        """Set up; nothing is read yet.

        Args:
            settings: Say where weights lie.
            read: Digest of an uploaded file -> its bytes.
            architecture: Of the transformers it serves.
        """
        self._settings = settings
        self._rack = LoraRack(read, architecture=architecture)
        self._digests = Digests()

    def find(self, loras: Sequence[Lora], controls: Sequence[Control] = ()) -> tuple[LoraFile, ...]:
        """Find the files of LoRAs, and of controls that are read by a control LoRA.

        Args:
            loras: LoRAs of a request.
            controls: Controls of the same request; those that something else reads are left out.

        Returns:
            The files, control LoRAs first.

        Raises:
            EngineError: `weights_missing` or `revision_unpinned`.
        """
        reading = [(find(each.checkpoint), each.scale) for each in controls]
        files = [
            self._of_catalogue(checkpoint, scale, control=True)
            for checkpoint, scale in reading
            if checkpoint.family is Family.CONTROL_LORA
        ]
        for lora in loras:
            if lora.digest is not None:
                files.append(LoraFile(name=lora.name, digest=lora.digest, weight=lora.weight))
            else:
                files.append(self._of_catalogue(find(lora.name), lora.weight))
        return tuple(files)

    def text_key(self, files: Sequence[LoraFile]) -> tuple[tuple[str, float], ...]:
        """Name what of these changes how a prompt is encoded, for whoever keeps encodings.

        Args:
            files: What is applied.

        Returns:
            Digest and weight of those that change a text encoder.

        Raises:
            OperationError: A file is not a LoRA for these models.
        """
        return tuple(
            (file.digest, file.weight)
            for file in files
            if any(part.startswith("text_encoder") for part in self._rack.parts_of(file))
        )

    @contextmanager
    def applied(self, parts: Mapping[str, Any], files: Sequence[LoraFile]) -> Iterator[None]:
        """Run a block with exactly these LoRAs; see `LoraRack.applied`.

        Args:
            parts: Models by diffusers' component name.
            files: What to apply.

        Yields:
            Nothing.
        """
        with self._rack.applied(parts, files):
            yield

    def used(self, files: Sequence[LoraFile]) -> list[UsedWeights]:
        """Say what took part, for the record.

        Args:
            files: What was applied.

        Returns:
            One for each.
        """
        return [
            UsedWeights(name=f"lora:{file.name}", revision=UPLOADED, digests={"file": file.digest})
            if file.path is None
            else UsedWeights(
                name=file.name,
                revision=locate(find(file.name), self._settings).revision,
                digests={file.path.name: file.digest},
            )
            for file in files
        ]

    def release(self) -> None:
        """Give back the memory of every LoRA."""
        self._rack.forget()

    def _of_catalogue(self, checkpoint: Checkpoint, weight: float, *, control: bool = False) -> LoraFile:
        path = lora_file(locate(checkpoint, self._settings).folder)
        return LoraFile(name=checkpoint.name, digest=self._digests.of(path), weight=weight, path=path, control=control)
