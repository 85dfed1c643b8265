"""Measuring: speed through MMSegmentation, FLOPs and parameters, the paper's tables, plots.

`complexity` counts, `paper` holds the paper's tables as models to build; `images`, `stages`, `subject`, `interleaved`
and `report` are the benchmark, in the order in which it uses them; `plots` draws its results.
"""
