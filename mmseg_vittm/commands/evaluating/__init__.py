"""A segmentor evaluated in detail: scored, drawn, reported; `tools/evaluate.py`."""
