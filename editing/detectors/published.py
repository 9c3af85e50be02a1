"""Published: models as transformers saves them, with the processor that prepares their pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from editing.detectors.nets import hushed
from editing.errors import EngineError
from editing.rasters import Pixels

from transformers import AutoImageProcessor  # isort: skip - after the shim that nets imports


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Published:
    """A model of transformers.

    Attributes:
        model: The model, in float32, for inference.
        processor: Brings pictures to what the model reads.
    """

    model: Any
    processor: Any

    def prepared(self, pixels: Pixels, **options: Any) -> Any:
        """Bring a picture to what the model reads.

        Args:
            pixels: uint8 (h, w, 3), sRGB.
            options: Of the processor.

        Returns:
            The model's arguments, on its device.
        """
        # unless it is told, it takes a picture of three rows for one of three channels
        made = self.processor(pixels, input_data_format="channels_last", return_tensors="pt", **options)
        return made.to(self.model.device)


def load_published(kind: Any, folder: Path, device: torch.device) -> Published:
    """Load a model from a folder; nothing is downloaded, and only safetensors are read.

    Args:
        kind: Its class, or an `AutoModelFor...`.
        folder: Its folder.
        device: Where it shall run.

    Returns:
        The model and its processor.

    Raises:
        EngineError: `weights_unreadable`: transformers would put random numbers where weights are missing.
    """
    with hushed(), torch.random.fork_rng(devices=[]):
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        model, found = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    wrong = sorted({str(key) for name in ("missing_keys", "mismatched_keys") for key in found.get(name, ())})
    if wrong:
        raise EngineError(
            f"the weights in {folder} lack or misshape {wrong[0]} and {len(wrong) - 1} others",
            code="weights_unreadable",
            field="detector",
            value=str(folder),
            limit=wrong[:8],
        )
    return Published(model=model.eval().requires_grad_(requires_grad=False).to(device), processor=processor)
