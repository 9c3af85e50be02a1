"""Inpainting ControlNets: ControlNets that read a masked picture and its mask, beside a base checkpoint's noise.

Shape and reading order are those of alimama-creative/FLUX-Controlnet-Inpainting: diffusers' FLUX ControlNet, but its
condition has 4 channels more, one per latent of a 2x2 token, which say what is kept.
"""

from collections.abc import Sequence

import torch

from editing.diffusion.torchvision_shim import ensure_torchvision

ensure_torchvision()

from diffusers import FluxControlNetModel  # noqa: E402 - the shim comes first
from diffusers.configuration_utils import register_to_config  # noqa: E402 - the shim comes first

MASK_CHANNELS = 4
"""Channels of the packed keep mask: a token holds 2x2 latents."""


class InpaintingControlNet(FluxControlNetModel):  # type: ignore[misc]
    """A FLUX ControlNet whose condition is the packed masked picture with the packed keep mask beside it.

    Loads and saves as any diffusers model (`from_pretrained`, `save_pretrained`).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(  # noqa: PLR0913 - diffusers fills it from the names in config.json
        self,
        *,
        patch_size: int = 1,
        in_channels: int = 64,
        num_layers: int = 19,
        num_single_layers: int = 38,
        attention_head_dim: int = 128,
        num_attention_heads: int = 24,
        joint_attention_dim: int = 4096,
        pooled_projection_dim: int = 768,
        guidance_embeds: bool = False,
        axes_dims_rope: Sequence[int] = (16, 56, 56),
        extra_condition_channels: int = MASK_CHANNELS,
    ) -> None:
        """Build the net with fresh weights; a fresh net adds nothing.

        Args:
            patch_size: As in FluxControlNetModel, like all others but the last.
            in_channels: Channels of a token: 64.
            num_layers: Double blocks.
            num_single_layers: Single blocks.
            attention_head_dim: Channels of a head.
            num_attention_heads: Heads.
            joint_attention_dim: Channels of the long text encoder.
            pooled_projection_dim: Channels of the short text encoder.
            guidance_embeds: Whether guidance is a model input.
            axes_dims_rope: Channels of a head by axis of the position.
            extra_condition_channels: Channels of the condition beyond those of a token.
        """
        super().__init__(
            patch_size=patch_size,
            in_channels=in_channels,
            num_layers=num_layers,
            num_single_layers=num_single_layers,
            attention_head_dim=attention_head_dim,
            num_attention_heads=num_attention_heads,
            joint_attention_dim=joint_attention_dim,
            pooled_projection_dim=pooled_projection_dim,
            guidance_embeds=guidance_embeds,
            axes_dims_rope=axes_dims_rope,
        )
        reader = torch.nn.Linear(in_channels + extra_condition_channels, self.inner_dim)
        torch.nn.init.zeros_(reader.weight)
        torch.nn.init.zeros_(reader.bias)
        self.controlnet_x_embedder = reader
