"""What the command lines share: options, one-line errors, configs, jobs, launching, progress, segmenting files."""
