"""Videos: frames in order, clips to train on, samplers to test with."""
