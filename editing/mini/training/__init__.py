"""How flux-mini's weights are made: run `python -m editing.mini.training --work DIR`."""

from editing.diffusion.torchvision_shim import ensure_torchvision

ensure_torchvision()  # here, since every module of this package imports diffusers or transformers
