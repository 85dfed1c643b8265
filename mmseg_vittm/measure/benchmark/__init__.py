"""Speed through MMSegmentation: `building`, `images`, `stages`, `subject`, `turns`, `report`, in order of use."""
