"""The state of a run: what checkpoints keep of it beside weights, and whether it can be gone on from."""
