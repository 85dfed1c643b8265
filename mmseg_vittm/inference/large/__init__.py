"""Images of any size to labels, in memory that does not grow with them: read by windows, labelled by blocks."""
