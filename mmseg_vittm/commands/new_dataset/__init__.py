"""A data set of one's own: found, looked at, and made a config and a report of; `tools/new_dataset.py`."""
