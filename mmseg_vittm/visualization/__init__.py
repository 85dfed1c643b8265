"""Pictures of segmentations, and the one style of all figures. Imports nothing else of this package."""
