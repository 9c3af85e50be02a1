"""ControlNets in a run: what each reads, when it acts, and the residuals that the transformer adds.

Several nets, of one checkpoint or of several, add up; nets with fewer blocks than the transformer serve each several of
its blocks, in the order that diffusers lays them out. A net whose scale is 0 in a step is not run there: it would add
zeros.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

Residuals = list[torch.Tensor] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActingNet:
    """A ControlNet with what it reads in one run.

    Attributes:
        net: diffusers' FluxControlNetModel.
        condition: What it reads: (1, tokens, channels), or the picture (1, 3, h, w) where the net embeds it itself.
        mode: Number of the kind, for a union net that is told; None for others.
        scale: Conditioning scale.
        start: Share of the run's steps at which it begins to act.
        end: Share of the run's steps at which it stops.
    """

    net: Any
    condition: torch.Tensor
    mode: int | None
    scale: float
    start: float
    end: float

    def scale_at(self, step: int, steps: int) -> float:
        """Scale in one step.

        Args:
            step: Which, from 0.
            steps: Steps of the run.

        Returns:
            Its conditioning scale within its span, 0 outside.
        """
        acts = not (step / steps < self.start or (step + 1) / steps > self.end)
        return self.scale if acts else 0.0


def residuals(
    nets: Sequence[ActingNet], scales: Sequence[float], transformer: Any, *, guidance: float, **inputs: Any
) -> tuple[Residuals, Residuals]:
    """Run the nets that act in a step and add up what they say.

    Args:
        nets: The nets of the run.
        scales: Scale of each in this step; 0 leaves a net out.
        transformer: What shall read the residuals; one is given for each of its blocks.
        guidance: FLUX's distilled guidance, for nets that read it.
        **inputs: Of the step: hidden_states, timestep, pooled_projections, encoder_hidden_states, txt_ids, img_ids.

    Returns:
        Residuals for the double blocks and for the single blocks; None where there are none.
    """
    double: Residuals = None
    single: Residuals = None
    for acting, scale in zip(nets, scales, strict=True):
        if not scale:
            continue
        blocks, singles = acting.net(
            controlnet_cond=acting.condition,
            controlnet_mode=_mode(acting),
            conditioning_scale=scale,
            guidance=_guidance(acting.net, guidance, acting.condition.device),
            return_dict=False,
            **inputs,
        )
        repeated = acting.net.input_hint_block is not None
        double = _added(double, _spread(blocks, len(transformer.transformer_blocks), repeated=repeated))
        single = _added(single, _spread(singles, len(transformer.single_transformer_blocks), repeated=False))
    return double, single


def _mode(acting: ActingNet) -> torch.Tensor | None:
    if acting.mode is None:
        return None
    return torch.tensor([[acting.mode]], dtype=torch.long, device=acting.condition.device)


def _guidance(net: Any, guidance: float, device: torch.device) -> torch.Tensor | None:
    return torch.full([1], guidance, device=device, dtype=torch.float32) if net.config.guidance_embeds else None


def _spread(samples: Sequence[torch.Tensor] | None, blocks: int, *, repeated: bool) -> Residuals:
    """One residual for each block of the transformer: in turn, or each for as many in a row."""
    if not samples or not blocks:
        return None
    if repeated:
        return [samples[block % len(samples)] for block in range(blocks)]
    each = math.ceil(blocks / len(samples))
    return [samples[block // each] for block in range(blocks)]


def _added(one: Residuals, other: Residuals) -> Residuals:
    if one is None or other is None:
        return one if other is None else other
    return [a + b for a, b in zip(one, other, strict=True)]
