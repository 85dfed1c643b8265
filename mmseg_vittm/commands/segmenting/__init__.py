"""Files segmented: which are, how videos are read and written, where results go."""
