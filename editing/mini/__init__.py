"""flux-mini: real FLUX checkpoints at tiny size, the pictures they learn from, and the judge that scores them."""
