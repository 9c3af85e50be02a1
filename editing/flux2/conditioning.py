"""Conditioning: prompts and pictures as FLUX.2 [klein] reads them, each encoded once and remembered.

What is remembered depends on nothing but its key, and encoding draws no noise: a run gives the same bits whether its
prompt and pictures were remembered or not. A LoRA changes the transformer alone, so that no key names it.
"""

import hashlib

import numpy as np
import torch

from editing.diffusion.memo import Memo
from editing.diffusion.painting import picture_tensor
from editing.flux2.latents import encode
from editing.flux2.loading import TEXT_LAYERS, LoadedKlein
from editing.rasters import Pixels

KEPT = 8
"""Prompts, and pictures, that are remembered: at 9B a prompt takes 13 MB in bfloat16, a picture of 1024x1024 1 MB."""


class Conditioner:
    """Encodes prompts and pictures for the runs of one room.

    Attributes:
        prompts: What was made of prompts.
        pictures: What was made of pictures.
    """

    def __init__(self, *, device: torch.device, dtype: torch.dtype, kept: int = KEPT) -> None:
        """Set up; nothing is remembered yet.

        Args:
            device: Where the encoders run.
            dtype: What they compute in.
            kept: Prompts, and pictures, to remember.
        """
        self._device = device
        self._dtype = dtype
        self.prompts: Memo[torch.Tensor] = Memo(kept=kept)
        self.pictures: Memo[torch.Tensor] = Memo(kept=kept)

    def prompt(self, loaded: LoadedKlein, text: str) -> torch.Tensor:
        """Encode a prompt.

        Args:
            loaded: The checkpoint.
            text: What to show, in plain words.

        Returns:
            (1, tokens, 3 * hidden); callers must not change it.
        """
        length = loaded.checkpoint.max_sequence_length
        key = (text, length, loaded.part_digests("text_encoder"), loaded.part_digests("tokenizer"))
        return self.prompts.get(key, lambda: self._encoded(loaded, text, length))

    def picture(self, loaded: LoadedKlein, pixels: Pixels) -> torch.Tensor:
        """Encode a picture.

        Args:
            loaded: The checkpoint.
            pixels: uint8 (h, w, 3), 0..255; sides are multiples of 16.

        Returns:
            Patches (1, 4c, h/16, w/16), normalised; callers must not change them.
        """
        digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).digest()
        key = (digest, pixels.shape, loaded.part_digests("vae"))
        return self.pictures.get(key, lambda: self._seen(loaded, pixels))

    def _seen(self, loaded: LoadedKlein, pixels: Pixels) -> torch.Tensor:
        values = picture_tensor(pixels).to(device=self._device, dtype=self._dtype)
        return loaded.normalisation.taken(encode(loaded.vae, values))

    def _encoded(self, loaded: LoadedKlein, text: str, length: int) -> torch.Tensor:
        """Read three layers of the language model, and ask for no word beyond the prompt's."""
        asked = loaded.tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        read = loaded.tokenizer(asked, return_tensors="pt", padding="max_length", truncation=True, max_length=length)
        output = loaded.text_encoder(
            input_ids=read["input_ids"].to(self._device),
            attention_mask=read["attention_mask"].to(self._device),
            output_hidden_states=True,
            use_cache=False,
            logits_to_keep=1,  # the fewest it takes; of all tokens they would be the largest tensor of the run
        )
        layers = torch.stack([output.hidden_states[layer] for layer in TEXT_LAYERS], dim=1).to(self._dtype)
        return layers.permute(0, 2, 1, 3).flatten(2)
