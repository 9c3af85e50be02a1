"""Drawings as the transformer sees them: packed latents and embedded captions, kept in memory."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from editing.mini.drawing import Picture
from editing.mini.training.text import TextEncoders
from editing.mini.training.vae import to_tensor

_ENCODED_AT_ONCE = 16
_JOINED_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One picture to learn, before it is encoded.

    Attributes:
        texts: Captions that fit; each training step takes one.
        target: uint8 (h, w, 3), what the model shall draw.
        given: uint8 (h, w, 3), a picture it is shown: the masked one, or edges. None if there is none.
        mask: bool (h, w), true where it repaints. None if there is none.
    """

    texts: tuple[str, str]
    target: Picture
    given: Picture | None = None
    mask: np.ndarray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tensors of one training step, float32, n samples of L tokens.

    Attributes:
        target: (n, L, 64).
        given: (n, L, 64), or (n, L, 320) with the mask's channels; None if there is none.
        pooled: (n, width of CLIP).
        tokens: (n, text tokens, width of T5).
        size: (height, width) in tokens.
    """

    target: Tensor
    given: Tensor | None
    pooled: Tensor
    tokens: Tensor
    size: tuple[int, int]


class Examples:
    """Encoded samples of one size, as many as were asked for, in float16.

    Args:
        vae: Whitened autoencoder: its latents are what the transformer sees.
        encoders: Text encoders.
        sample: Draws one sample; all have one size.
    """

    def __init__(self, vae: AutoencoderKL, encoders: TextEncoders, sample: Callable[[], Sample]) -> None:
        self._vae, self._encoders, self._sample = vae, encoders, sample
        self._parts: dict[str, list[Tensor]] = {"target": [], "given": [], "mask": [], "pooled": [], "tokens": []}
        self._joined: dict[str, Tensor] = {}
        self._size = (0, 0)
        self._ready = self.count = 0

    @torch.no_grad()
    def grow(self, count: int) -> None:
        """Draw and encode `count` more samples (rounded up to whole batches of 16)."""
        for _ in range(-(-count // _ENCODED_AT_ONCE)):
            samples = [self._sample() for _ in range(_ENCODED_AT_ONCE)]
            self._size = samples[0].target.shape[0] // 16, samples[0].target.shape[1] // 16
            self._add("target", self._latents([sample.target for sample in samples]))
            given = [sample.given for sample in samples if sample.given is not None]
            if given:
                self._add("given", self._latents(given))
            masks = [torch.from_numpy(sample.mask) for sample in samples if sample.mask is not None]
            if masks:
                self._add("mask", pack_mask(torch.stack(masks)))
            pooled, tokens = self._encoders.encode([text for sample in samples for text in sample.texts])
            self._add("pooled", _by_twos(pooled))
            self._add("tokens", _by_twos(tokens))
            self.count += len(samples)

    def batch(self, size: int) -> Batch:
        """Take `size` samples at random, one caption each."""
        if self._ready == 0 or self.count - self._ready >= _JOINED_AT_ONCE:
            self._join()
        return self._take(torch.randint(self._ready, (size,)), torch.randint(2, (size,)))

    def batch_in_order(self, size: int) -> Batch:
        """Take the first `size` samples with their first captions."""
        self._join()
        return self._take(torch.arange(size), torch.zeros(size, dtype=torch.long))

    def _take(self, chosen: Tensor, caption: Tensor) -> Batch:
        given = self._joined["given"][chosen].float() if "given" in self._joined else None
        if given is not None and "mask" in self._joined:
            given = torch.cat([given, self._joined["mask"][chosen].float()], -1)
        return Batch(
            target=self._joined["target"][chosen].float(),
            given=given,
            pooled=self._joined["pooled"][chosen, caption].float(),
            tokens=self._joined["tokens"][chosen, caption].float(),
            size=self._size,
        )

    def _add(self, name: str, tensor: Tensor) -> None:
        self._parts[name].append(tensor)

    def _join(self) -> None:
        """Put what has been added with the rest; seldom, since it copies everything."""
        for name, parts in self._parts.items():
            if parts:
                self._joined[name] = torch.cat(parts)
                self._parts[name] = [self._joined[name]]
        self._ready = self.count

    def _latents(self, pictures: list[Picture]) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):  # off by 0.003 of a standard deviation, in a third of the time
            means = self._vae.encode(to_tensor(pictures)).latent_dist.mean
        return pack(means).half()


def _by_twos(embeddings: Tensor) -> Tensor:
    """Put the embeddings of a sample's two captions together: (2n, ...) to (n, 2, ...), float16."""
    return embeddings.reshape(-1, 2, *embeddings.shape[1:]).half()


def pack(latents: Tensor) -> Tensor:
    """Pack latents (n, c, h, w), 2x2 into one token: (n, h/2 * w/2, 4c), in FluxPipeline's order."""
    count, channels, height, width = latents.shape
    split = latents.view(count, channels, height // 2, 2, width // 2, 2)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(count, height * width // 4, channels * 4)


def unpack(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Undo `pack` for a size (height, width) in tokens."""
    count, _, packed = tokens.shape
    split = tokens.view(count, size[0], size[1], packed // 4, 2, 2)
    return split.permute(0, 3, 1, 4, 2, 5).reshape(count, packed // 4, size[0] * 2, size[1] * 2)


def pack_mask(masks: Tensor) -> Tensor:
    """Pack full-size masks bool (n, h, w) as FluxFillPipeline does: 8x8 pixels into channels, then 2x2: (n, L, 256)."""
    count, height, width = masks.shape
    split = masks.view(count, height // 8, 8, width // 8, 8).permute(0, 2, 4, 1, 3)
    return pack(split.reshape(count, 64, height // 8, width // 8))
