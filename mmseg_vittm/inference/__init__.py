"""Image to labels: the segmentor, the fast path, the predictor."""
