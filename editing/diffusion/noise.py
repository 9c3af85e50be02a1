"""Noise: one generator per seed, the same on every device, and another for every one of 2**64 seeds.

torch's CPU generator is a Mersenne Twister that `manual_seed` fills from the lower 32 bits alone: seeds that differ by
2**32 would give the same picture. Here seeds below 2**32 mean what they mean everywhere else, and larger ones fill the
twister's state through NumPy's seed sequence, which uses all bits.
"""

import numpy as np
import torch

_TWISTER_WORDS = 624
_STATE_AT = 24
"""Byte at which the words lie in torch's saved state, behind initial seed (8), left (4), seeded (4) and next (8)."""
_WORD = np.dtype(np.uint64)


def seeded_generator(seed: int) -> torch.Generator:
    """Make the generator of one run.

    Args:
        seed: 0..2**64-1.

    Returns:
        A CPU generator. For a seed below 2**32, exactly `torch.Generator().manual_seed(seed)`.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    if seed < 2**32:
        return generator
    state = generator.get_state().numpy().copy()
    words = np.asarray(np.random.MT19937(seed).state["state"]["key"], dtype=_WORD)
    state[_STATE_AT : _STATE_AT + _TWISTER_WORDS * _WORD.itemsize] = words.view(np.uint8)
    generator.set_state(torch.from_numpy(state))
    return generator


def noise_after_one_draw(
    generator: torch.Generator, shape: tuple[int, ...], *, dtypes: tuple[torch.dtype, torch.dtype]
) -> torch.Tensor:
    """Draw the noise that diffusers' pipelines mix with a picture, without the picture.

    They first draw the sample of the picture's latents. Drawing as many numbers and dropping them gives the same noise
    for the same seed, and leaves the generator where they would leave it.

    Args:
        generator: Of the run, not yet drawn from.
        shape: Of the latents, (1, 16, h/8, w/8).
        dtypes: Number formats of the VAE and of the latents.

    Returns:
        Standard normal noise of that shape, in the second dtype, on the CPU.
    """
    torch.randn(shape, generator=generator, dtype=dtypes[0])
    return torch.randn(shape, generator=generator, dtype=dtypes[1])
