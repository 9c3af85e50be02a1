"""Memory: where a model's parts are, before, during and after a run, as the memory profile says.

    residency.load_options(part)          how to load it
    residency.settle({part: model})       once, after loading: squeezed, hooked, put where it waits
    with residency.during(parts):         around a run: what it left on the device is gone afterwards, however it ended
    with residency.changing(part, model): around anything that adds layers to a model or takes some away

Models are called directly (`transformer(...)`, `vae.decode(...)`); inputs belong on `residency.device`, since
`model.device` may be main memory. Waiting changes no pixel; fp8 and int4 do, and `facts` says so for the record.
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

import torch
from accelerate import cpu_offload
from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_submodules
from accelerate.utils import send_to_device
from torch import nn
from typing_extensions import override

from editing.diffusion.formats import check_quantiser, recast, squeeze
from editing.diffusion.placing import Place
from editing.diffusion.quiet import quiet_libraries  # imports the shim before diffusers
from editing.memory import CREWS, LAYOUTS, SMALL_PARAMETERS, TILE, Crew, Keeping, Part, Waiting

from diffusers.hooks import HookRegistry, apply_group_offloading  # isort: skip

_HOME: Final = torch.device("cpu")
_STREAM_HOOKS: Final = ("group_offloading", "layer_execution_tracker", "lazy_prefetch_group_offloading")
_STREAMING_DEVICES: Final = frozenset({"cuda", "xpu"})


class Residency:
    """Keeps models where a memory profile wants them.

    One per worker. A model may be settled again, as part of another checkpoint that shares it: it stays as it is.

    Attributes:
        device: Where models run.
        dtype: What they compute in.
        profile: The profile.
        layout: What it means.
    """

    def __init__(self, place: Place, *, small: int = SMALL_PARAMETERS) -> None:
        """Set up; nothing is loaded yet.

        Args:
            place: Device, computing format and profile.
            small: Parts of fewer parameters stay whole and on the device.

        Raises:
            EngineError: `quantiser_missing`.
        """
        check_quantiser(place.profile)
        self.device = place.device
        self.dtype = place.dtype
        self.profile = place.profile
        self.layout = LAYOUTS[place.profile]
        self._small = small
        self._kept: WeakKeyDictionary[nn.Module, tuple[Part, Keeping]] = WeakKeyDictionary()
        self._aboard: WeakKeyDictionary[nn.Module, Crew] = WeakKeyDictionary()
        self._depth = 0

    @property
    def aboard(self) -> frozenset[nn.Module]:
        """Models that take turns and are on the device now."""
        return frozenset(self._aboard)

    def load_options(self, part: str) -> dict[str, Any]:
        """Say how to load a part.

        Args:
            part: Name of the part.

        Returns:
            Keyword arguments of `from_pretrained`; every part is loaded whole, into main memory, and squeezed when it
            settles, so settle one part before the next is loaded.

        Raises:
            ValueError: There is no such part.
        """
        part_of(part)
        return {"dtype": self.dtype}

    def settle(self, parts: Mapping[str, Any]) -> None:
        """Put loaded models where they wait.

        Args:
            parts: Models by part, or by part and anything after a colon where there are several
                (`controlnet:FLUX.1-dev-ControlNet-Union-Pro-2.0`); tokenizers and schedulers are passed over.

        Raises:
            ValueError: A model is of no known part.
        """
        models = {name: each for name, each in parts.items() if isinstance(each, nn.Module)}
        roles = {name: part_of(name) for name in models}
        for name, model in models.items():
            if model not in self._kept:
                self._settle(roles[name], model)

    def _settle(self, part: Part, model: nn.Module) -> None:
        keeping = self.layout.keeping(part, sum(each.numel() for each in model.parameters()), small=self._small)
        squeeze(model, part, keeping.format, device=self.device, dtype=self.dtype)
        if part is Part.VAE:
            self._tile(model)
        self._hook(model, part, keeping)
        self._kept[model] = (part, keeping)

    def _tile(self, vae: Any) -> None:
        if self.layout.vae_slicing:
            vae.enable_slicing()
        if self.layout.vae_tiling:
            vae.enable_tiling()
            # From its own size a VAE would conclude otherwise: flux-mini's to tiles of 4 latents.
            vae.tile_sample_min_size = TILE
            vae.tile_latent_min_size = TILE // 2 ** (len(vae.config.block_out_channels) - 1)

    def _hook(self, model: nn.Module, part: Part, keeping: Keeping) -> None:
        match keeping.waits:
            case Waiting.RESIDENT:
                model.to(self.device)
            case Waiting.TURNS:
                add_hook_to_module(model.to(_HOME), _Boarding(self, CREWS[part]))
            case Waiting.LAYERS:
                cpu_offload(model.to(_HOME), self.device, offload_buffers=True)
            case Waiting.STREAMED:
                with quiet_libraries():
                    apply_group_offloading(
                        model,
                        onload_device=self.device,
                        offload_device=_HOME,
                        offload_type="leaf_level",
                        use_stream=self.device.type in _STREAMING_DEVICES,
                        record_stream=self.device.type in _STREAMING_DEVICES,
                    )

    def _unhook(self, model: nn.Module, keeping: Keeping) -> None:
        if keeping.waits is Waiting.STREAMED:
            registry = HookRegistry.check_if_exists_or_initialize(model)
            for name in _STREAM_HOOKS:
                registry.remove_hook(name, recurse=True)
            model.to(_HOME)
        elif keeping.waits is Waiting.LAYERS:
            remove_hook_from_submodules(model)

    @contextmanager
    def during(self, parts: Mapping[str, Any]) -> Iterator[None]:
        """Run with these parts. Nested blocks share the device: an edit of several runs need not empty it in between.

        Args:
            parts: Everything that takes part, as it was settled.

        Yields:
            Nothing.
        """
        models = [each for each in parts.values() if isinstance(each, nn.Module)]
        if self._depth == 0:
            self._disembark(keep=models)
        self._depth += 1
        failed = True
        try:
            yield
            failed = False
        finally:
            self._depth -= 1
            if failed:
                self._mend(models)
            if failed or self._depth == 0:
                self._disembark()
                if self.device.type != _HOME.type:
                    self.free()

    @contextmanager
    def changing(self, part: str, model: nn.Module) -> Iterator[None]:
        """Add layers to a settled model or take some away: LoRAs, adapters, words of a text encoder.

        Layers of its own that are squeezed stay squeezed. What is added is moved where the model is, however the
        block ends.

        Args:
            part: Name of the part.
            model: The model; one that was not settled is settled afterwards.

        Yields:
            Nothing.
        """
        if model not in self._kept:
            yield
            self.settle({part: model})
            return
        role, keeping = self._kept[model]
        if keeping.waits in {Waiting.LAYERS, Waiting.STREAMED}:
            self._unhook(model, keeping)
            try:
                yield
            finally:
                self._hook(model, role, keeping)
            return
        try:
            yield
        finally:
            there = keeping.waits is Waiting.RESIDENT or model in self._aboard
            model.to(self.device if there else _HOME)

    def facts(self, parts: Mapping[str, Any]) -> dict[str, Any]:
        """Say, for the record, how the weights of a run were kept.

        Args:
            parts: Everything that took part.

        Returns:
            JSON: `profile`; `dtype`, what was computed in; `formats` of each part; `exact`, whether every weight had
            the value it was loaded with; `vae_tiling`, whether large pictures go through the VAE in tiles.
        """
        formats = {}
        exact = True
        for name, model in parts.items():
            if isinstance(model, nn.Module) and model in self._kept:
                form = self._kept[model][1].format
                formats[name] = _dtype_name(self.dtype) if form.exact else form.value
                exact = exact and form.exact
        return {
            "profile": self.profile.value,
            "dtype": _dtype_name(self.dtype),
            "formats": formats,
            "exact": exact,
            "vae_tiling": self.layout.vae_tiling,
        }

    def board(self, model: nn.Module, crew: Crew) -> None:
        """Bring a model onto the device, and take off whatever does not work beside it; its hook calls this.

        Args:
            model: The model.
            crew: What works at the same time.
        """
        if model in self._aboard:
            return
        for other, its_crew in list(self._aboard.items()):
            if its_crew is not crew:
                self._take_off(other)
        self._aboard[model] = crew  # before the move: one that fails half-way is taken off whole
        model.to(self.device)

    def _disembark(self, *, keep: list[nn.Module] | None = None) -> None:
        for model in list(self._aboard):
            if not any(model is each for each in keep or ()):
                self._take_off(model)

    def _take_off(self, model: nn.Module) -> None:
        model.to(_HOME)
        del self._aboard[model]

    def _mend(self, models: list[nn.Module]) -> None:
        """A run that fails inside a layer leaves that layer cast, or on the device, or its hooks counting."""
        for model in models:
            if model not in self._kept:
                continue
            part, keeping = self._kept[model]
            recast(model)
            if keeping.waits in {Waiting.LAYERS, Waiting.STREAMED}:
                self._unhook(model, keeping)
                self._hook(model, part, keeping)

    def free(self) -> None:
        """Give back what nobody refers to any more: the interpreter's garbage, and the device's cache of it."""
        gc.collect()
        if self.device.type != _HOME.type:
            torch.accelerator.empty_cache()


class _Boarding(ModelHook):  # type: ignore[misc] # accelerate is untyped
    """Brings a model onto the device before it runs; diffusers calls it before a VAE encodes or decodes, too."""

    def __init__(self, residency: Residency, crew: Crew) -> None:
        self._residency = residency
        self._crew = crew

    @override
    def pre_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        self._residency.board(module, self._crew)
        return send_to_device(args, self._residency.device), send_to_device(kwargs, self._residency.device)


def part_of(name: str) -> Part:
    """Read the part out of a name.

    Args:
        name: Such as `transformer` or `controlnet:NAME`.

    Returns:
        The part.

    Raises:
        ValueError: There is no such part.
    """
    return Part(name.split(":", maxsplit=1)[0])


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
