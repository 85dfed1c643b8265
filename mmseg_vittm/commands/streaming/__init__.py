"""Videos, cameras and streams segmented as they come: read, segmented and written at the same time."""
