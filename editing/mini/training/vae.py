"""Stage 1, the autoencoder: AutoencoderKL, 8x smaller each way, 16 latent channels.

Flat colours are what a small autoencoder with group norms gets wrong first, and the transformer can be no better
than its latents. So three latent channels are anchored to the mean colour of their 8x8 pixels, and the skip paths
carry the picture from the first step on (each residual starts at zero).
"""

import math
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

from editing.mini.drawing import PHOTO, Picture, draw
from editing.mini.training.pace import Pace, Weighted

BATCH = 16
PEAK_RATE = 2e-3
SPREAD = 0.05  # standard deviation of the posterior, against latents of about 1
_ANCHOR_WEIGHT = 0.1
_SIZE_WEIGHT = 2e-4
_POOL = 2048
_NEW_PER_STEP = 4
_PHOTOGRAPH_SHARE = 0.25
_EDGES_SHARE = 0.06
_LARGE_FROM = 0.7  # share of the time after which whole pictures replace 64 px crops


def new_vae() -> AutoencoderKL:
    """Build the autoencoder, every residual branch starting at zero."""
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 96),
        layers_per_block=1,
        latent_channels=16,
        norm_num_groups=8,
        sample_size=128,
        scaling_factor=1.0,
        shift_factor=0.0,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
    )
    with torch.no_grad():
        for name, parameter in vae.named_parameters():
            if ".conv2." in name:
                parameter.zero_()
        rows = vae.config.latent_channels
        vae.encoder.conv_out.weight[rows:].zero_()
        vae.encoder.conv_out.bias[rows:].fill_(2 * math.log(SPREAD))
    return vae


def train_vae(pace: Pace, photographs: tuple[Picture, ...], *, seed: int) -> AutoencoderKL:
    """Train until the pace's time is spent and return the averaged weights, whitened.

    Args:
        pace: Time budget, saved state and progress.
        photographs: uint8 (h, w, 3) pictures that a part of the crops is cut from.
        seed: Seed of the pictures.
    """
    vae = new_vae()
    rng = np.random.default_rng(seed)
    model = Weighted(
        vae, torch.optim.AdamW(vae.parameters(), lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.0), 0.998, pace.team
    )
    pace.resume(model)
    pool = [example(rng, photographs) for _ in range(_POOL)]
    while pace.goes_on():
        for _ in range(_NEW_PER_STEP):
            pool[int(rng.integers(_POOL))] = example(rng, photographs)
        large = pace.done > _LARGE_FROM
        pictures = to_tensor(crops(rng, pool, 4 if large else BATCH, 128 if large else 64))
        with torch.autocast("cpu", torch.bfloat16):
            loss, error = reconstruction_loss(vae, pictures)
        model.step(loss, rate=PEAK_RATE * pace.rate())
        pace.report(error=error)
    pace.save(model)
    averaged: AutoencoderKL = model.averaged()
    whiten(averaged, rng, photographs)
    return averaged


def reconstruction_loss(vae: AutoencoderKL, pictures: Tensor) -> tuple[Tensor, float]:
    """Return the loss on pictures (n, 3, h, w) in -1..1, and the mean absolute error in 0..255 steps."""
    means = vae.encode(pictures).latent_dist.mean
    restored = vae.decode(means + SPREAD * torch.randn_like(means)).sample.float()
    means = means.float()
    absolute = F.l1_loss(restored, pictures)
    anchors = F.avg_pool2d(pictures, 8) * 1.5
    loss = absolute + F.mse_loss(restored, pictures) + F.l1_loss(_edges(restored), _edges(pictures))
    loss = loss + _ANCHOR_WEIGHT * F.mse_loss(means[:, :3], anchors) + _SIZE_WEIGHT * means.square().mean()
    return loss, absolute.item() * 127.5


def example(rng: np.random.Generator, photographs: tuple[Picture, ...]) -> Picture:
    """Draw one picture of 128 px: a drawing, a photograph alone, or now and then the edges that guide a ControlNet."""
    kind = rng.random()
    if kind < _PHOTOGRAPH_SHARE:
        return draw(rng, 128, 128, photographs=photographs, background=PHOTO).clean
    picture = draw(rng, 128, 128, photographs=photographs).pixels
    return edges(picture) if kind > 1 - _EDGES_SHARE else picture


def edges(picture: Picture) -> Picture:
    """Return the canny edges of uint8 (h, w, 3), white on black, as the control image uint8 (h, w, 3)."""
    lines = cv2.Canny(np.ascontiguousarray(picture), 100, 200)  # on colours, as controlnet-aux finds them
    return np.repeat(np.asarray(lines, np.uint8)[..., None], 3, axis=2)


def crops(rng: np.random.Generator, pool: list[Picture], count: int, size: int) -> list[Picture]:
    """Cut square pictures of `size` px out of pictures of the pool."""
    cut = []
    for index in rng.integers(len(pool), size=count):
        left, top = rng.integers(128 - size + 1, size=2)
        cut.append(pool[index][top : top + size, left : left + size])
    return cut


def to_tensor(pictures: list[Picture]) -> Tensor:
    """Turn uint8 (h, w, 3) pictures of one size into float32 (n, 3, h, w) in -1..1."""
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return (stacked.float() / 127.5 - 1).contiguous()


def to_pictures(tensor: Tensor) -> list[Picture]:
    """Turn float (n, 3, h, w) in -1..1 into uint8 (h, w, 3) pictures."""
    scaled = ((tensor.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return list(scaled.permute(0, 2, 3, 1).contiguous().numpy())


@torch.no_grad()
def whiten(vae: AutoencoderKL, rng: np.random.Generator, photographs: tuple[Picture, ...], count: int = 256) -> None:
    """Give every latent channel a standard deviation of 1 on drawings, exactly, in the weights themselves.

    The encoder's last convolution is divided per channel and the decoder's first multiplied, which leaves every
    reconstruction as it was. The means stay: zero padding would not let the decoder undo a shift at the rim.
    """
    vae.eval()
    drawings = [draw(rng, 128, 128, photographs=photographs).pixels for _ in range(count)]
    batches = (to_tensor(drawings[first : first + 32]) for first in range(0, count, 32))
    means = torch.cat([vae.encode(batch).latent_dist.mean for batch in batches])
    scale = means.std((0, 2, 3))
    rows = vae.config.latent_channels
    out, into = vae.encoder.conv_out, vae.decoder.conv_in
    out.weight[:rows] /= scale[:, None, None, None]
    out.bias[:rows] /= scale
    out.bias[rows:] -= 2 * scale.log()  # the spread, as a log variance, shrinks with its channel
    into.weight *= scale[None, :, None, None]


def save_reconstructions(vae: AutoencoderKL, pictures: list[Picture], path: Path) -> None:
    """Write a sheet: the pictures (one size) above, their reconstructions below."""
    with torch.no_grad():
        restored = to_pictures(vae.decode(vae.encode(to_tensor(pictures)).latent_dist.mean).sample)
    sheet = np.concatenate([np.concatenate(pictures, 1), np.concatenate(restored, 1)])
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


def _edges(pictures: Tensor) -> Tensor:
    across = pictures[..., 1:, 1:] - pictures[..., 1:, :-1]
    down = pictures[..., 1:, 1:] - pictures[..., :-1, 1:]
    return torch.cat([across, down], 1)
