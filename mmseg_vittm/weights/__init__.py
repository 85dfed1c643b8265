"""Every weight file, in and out: read without running code, renamed, loaded strictly, converted."""
