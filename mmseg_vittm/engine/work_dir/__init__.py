"""Work dirs: one training at a time in each, nothing of an earlier run lost, files whole."""
