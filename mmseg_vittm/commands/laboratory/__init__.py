"""The laboratory: a table of models, trained, scored, measured and reported by one command; see docs/laboratory.md."""
