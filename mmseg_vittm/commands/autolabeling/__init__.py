"""Pseudo-labels: unlabelled images and what a segmentor sees in them, as a data set that configs read."""
