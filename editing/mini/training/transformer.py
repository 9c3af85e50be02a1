"""Stages 3 to 5: the base transformer, Fill and the ControlNet, by flow matching on packed latents."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from diffusers import FluxControlNetModel, FluxTransformer2DModel
from torch import Tensor, nn
from typing_extensions import override

from editing.mini.training.examples import Batch, Examples
from editing.mini.training.pace import Pace, Weighted
from editing.mini.training.team import Team
from editing.mini.training.text import WIDTH

GUIDANCE = {"base": 3.5, "fill": 30.0, "canny": 3.5, "union": 3.5}
_LATENT_CHANNELS = 64
_LOOK_EVERY = 0.2  # of the time
_NOISE_MEAN = 0.5  # of the logit of the time: shapes and colours are decided where there is much noise
AVERAGING = 0.9985


@torch.no_grad()
def denoise(flow: "Flow", batch: Batch, generator: torch.Generator, steps: int = 24) -> Tensor:
    """Draw latents (n, L, 64) from noise with Euler steps at evenly spaced times, as the scheduler will."""
    latents = torch.randn(batch.target.shape, generator=generator)
    for step in range(steps):
        time = torch.full((len(latents),), 1 - step / steps)
        latents = latents - flow(latents, time, batch) / steps
    return latents


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of a stage's time.

    Attributes:
        until: Share of the time at which it ends.
        sources: Where its batches come from, in turn; one may come up several times.
        batch: Samples a step at each member of the team.
        first: Samples of the first source to draw before the first step at each member; a quarter of the others.
        fresh: New samples of the first source to draw every 16 steps.
    """

    until: float
    sources: Sequence[Examples]
    batch: int
    first: int
    fresh: int = 16


def new_transformer(in_channels: int = _LATENT_CHANNELS) -> FluxTransformer2DModel:
    """Build the transformer at flux-mini's size, output starting at zero."""
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=in_channels,
        out_channels=_LATENT_CHANNELS,
        num_layers=1,
        num_single_layers=4,
        attention_head_dim=32,
        num_attention_heads=4,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(8, 12, 12),
    )
    for name, parameter in transformer.named_parameters():
        modulates = (".norm" in name and ".linear." in name) or name.startswith("norm_out.linear")
        if modulates or name.startswith("proj_out"):
            nn.init.zeros_(parameter)
    return transformer


def widen(base: FluxTransformer2DModel) -> FluxTransformer2DModel:
    """Return Fill's starting point: the base with 384 input channels, the new ones starting at zero."""
    fill = new_transformer(6 * _LATENT_CHANNELS)
    weights = base.state_dict()
    narrow = weights["x_embedder.weight"]
    wide = torch.zeros(narrow.shape[0], 6 * _LATENT_CHANNELS)
    wide[:, :_LATENT_CHANNELS] = narrow
    fill.load_state_dict({**weights, "x_embedder.weight": wide})
    return fill


def new_controlnet(base: FluxTransformer2DModel) -> FluxControlNetModel:
    """Return the ControlNet's starting point: the base's first blocks, with projections out that start at zero."""
    controlnet = FluxControlNetModel(
        patch_size=1,
        in_channels=_LATENT_CHANNELS,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=32,
        num_attention_heads=4,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=True,
        axes_dims_rope=[8, 12, 12],
        num_mode=None,
    )
    own = controlnet.state_dict()
    controlnet.load_state_dict({**own, **{key: value for key, value in base.state_dict().items() if key in own}})
    return controlnet


class Flow(nn.Module):
    """A transformer, and with it a ControlNet where there is one, as one function of noise, time and text."""

    def __init__(
        self, transformer: FluxTransformer2DModel, guidance: float, controlnet: FluxControlNetModel | None = None
    ) -> None:
        super().__init__()
        self.transformer, self.controlnet = transformer, controlnet
        self.guidance = guidance
        if controlnet is not None:
            transformer.requires_grad_(requires_grad=False)

    @override
    def forward(self, noisy: Tensor, time: Tensor, batch: Batch) -> Tensor:
        """Return the velocity (noise minus target) for latents (n, L, 64) at times (n,) of 0..1."""
        ids = image_ids(*batch.size)
        words = {
            "encoder_hidden_states": batch.tokens,
            "pooled_projections": batch.pooled,
            "timestep": time,
            "img_ids": ids,
            "txt_ids": torch.zeros(batch.tokens.shape[1], 3),
            "guidance": torch.full_like(time, self.guidance),
            "return_dict": False,
        }
        if self.controlnet is not None:
            double, single = self.controlnet(hidden_states=noisy, controlnet_cond=batch.given, **words)
            words |= {"controlnet_block_samples": double, "controlnet_single_block_samples": single}
            seen = noisy
        else:
            seen = noisy if batch.given is None else torch.cat([noisy, batch.given], -1)
        velocity: Tensor = self.transformer(hidden_states=seen, **words)[0]
        return velocity


def image_ids(height: int, width: int) -> Tensor:
    """Return the position ids of height x width tokens as FluxPipeline makes them: (L, 3) of 0, row, column."""
    rows = torch.arange(height)[:, None].expand(height, width)
    columns = torch.arange(width)[None].expand(height, width)
    return torch.stack([torch.zeros(height, width), rows, columns], -1).reshape(-1, 3).float()


def random_mix(target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mix latents (n, L, 64) with noise at random times; returns the mixture, the times (n,) and the noise."""
    time = torch.sigmoid(torch.randn(len(target)) + _NOISE_MEAN)
    noise = torch.randn_like(target)
    return torch.lerp(target, noise, time[:, None, None]), time, noise


def flow_loss(flow: Flow, batch: Batch) -> Tensor:
    """Return the mean squared error of the velocity at random times."""
    mixed, time, noise = random_mix(batch.target)
    velocity: Tensor = flow(mixed, time, batch)
    return (velocity.float() - (noise - batch.target)).square().mean()


def optimisers(module: nn.Module) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices inside the blocks and AdamW for all else; rates are shares of the stage's rate."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        inside = "transformer_blocks." in name and parameter.ndim == 2 and ".linear." not in name  # noqa: PLR2004
        inside = inside and ".lora_" not in name  # a factor of a matrix is not one: only their product acts
        (matrices if inside else others).append(parameter)
    adam = torch.optim.AdamW([{"params": others, "share": 1.0}], betas=(0.9, 0.99), weight_decay=0.0, fused=True)
    if not matrices:
        return [adam]
    muon = torch.optim.Muon(
        [{"params": matrices, "share": 1.0}], weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    return [adam, muon]


def train_flow(
    pace: Pace,
    team: Team,
    flow: Flow,
    phases: Sequence[Phase],
    *,
    rate: float,
    look: Callable[[Flow], None],
    loss_of: Callable[[Flow, Batch], Tensor] = flow_loss,
) -> Flow:
    """Train a stage's phases until its time is spent.

    Args:
        pace: Time budget, saved state and progress.
        team: The processes that train together; each passes phases over its own examples.
        flow: Trained in place.
        phases: In order; the last one's `until` is 1.
        rate: Peak learning rate.
        loss_of: What is made small.
        look: Called at the leader with the averaged weights every few minutes, to draw pictures with.

    Returns:
        The flow with averaged weights (at the leader).
    """
    model = Weighted(flow, optimisers(flow), AVERAGING, team)
    pace.resume(model)
    next_look = pace.spent / pace.seconds + _LOOK_EVERY
    while pace.goes_on():
        phase = next(phase for phase in phases if pace.done <= phase.until)
        source = phase.sources[pace.steps % len(phase.sources)]
        if source.count == 0:
            source.grow(phase.first if source is phase.sources[0] else phase.first // 4)
        elif pace.steps % 16 == 0:
            phase.sources[0].grow(phase.fresh)
        batch = source.batch(phase.batch)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(flow, batch)
        model.step(loss, rate=rate * pace.rate())
        pace.report(loss=loss.item())
        if not math.isfinite(loss.item()):
            raise ArithmeticError(f"the loss of {pace.name} became {loss.item()} at step {pace.steps}")
        if team.leads and pace.done > next_look:
            look(model.averaged())
            next_look += _LOOK_EVERY
    pace.save(model)
    if team.leads:
        look(model.averaged())
    averaged: Flow = model.averaged()
    return averaged
