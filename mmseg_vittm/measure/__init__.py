"""Measuring: speed through MMSegmentation, FLOPs and parameters, the paper's tables, plots."""
