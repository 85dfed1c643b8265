"""Pictures of what the benchmark measured."""
