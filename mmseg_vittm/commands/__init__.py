"""What the command lines share: options and one-line errors, configs, launching, progress, segmenting files."""
