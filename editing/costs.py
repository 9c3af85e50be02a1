"""Costs: how many floating-point operations a job takes, from those of its parts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOperations:
    """Floating-point operations of each part of a job at one size of picture; a multiply-add counts as two.

    Attributes:
        text: Both text encoders, once.
        encode: The VAE, from a picture to latents, once.
        step: The transformer, one denoising step.
        decode: The VAE, from latents to a picture, once.
    """

    text: int
    encode: int
    step: int
    decode: int

    def job(self, *, steps: int, encodes: int) -> int:
        """Count a whole job.

        Args:
            steps: Denoising steps.
            encodes: Pictures that the VAE encodes.

        Returns:
            Floating-point operations.
        """
        return self.text + encodes * self.encode + steps * self.step + self.decode
