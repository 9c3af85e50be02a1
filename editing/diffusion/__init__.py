"""What every family of diffusion models shares: the engine, the rooms it leads to, weights, noise and memory."""
