"""A config's parts built once to see whether they can be, before anything is written: nothing of them is kept."""
