"""FLOPs, parameters and activations; the paper's tables as models to build."""
