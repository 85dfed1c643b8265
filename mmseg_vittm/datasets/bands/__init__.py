"""Images of any number of bands and of 16 bits or floats: satellite tiles, microscopy, depth."""
