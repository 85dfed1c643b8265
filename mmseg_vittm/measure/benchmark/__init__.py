"""Speed through MMSegmentation: `images`, `stages`, `subject`, `interleaved`, `report`, in order of use."""
