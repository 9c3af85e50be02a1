"""The FLUX engine: the only room, besides flux-mini's training, in which torch and diffusers are imported."""
