"""What the metafiles say of configs: their backbones' names, and mIoUs that others published."""
from collections.abc import Sequence
from pathlib import Path

import yaml

from ...errors import InputError, printable

LONGEST_NAME = 40  # characters; longer ones would leave the plots no room


def read_metafiles(files: Sequence[str | Path]) -> dict[str, dict]:
    """Returns the `Metadata` of each config in some metafiles, by the config's stem.

    Raises:
        InputError: A metafile is not there.
    """
    metadata = {}
    for file in map(Path, files):
        if not file.is_file():
            raise InputError(f'{file}: no such metafile; those of this project are in configs/')
        for model in yaml.safe_load(file.read_text(encoding='utf-8'))['Models']:
            metadata[Path(model['Config']).stem] = model['Metadata']
    return metadata


def display_name(stem: str, metadata: dict[str, dict]) -> str:
    """Returns the backbone's name of a config, or its stem where no metafile has it; a long one without its middle."""
    name = metadata.get(stem, {}).get('Backbone') or printable(stem)
    return name if len(name) <= LONGEST_NAME else f'{name[:LONGEST_NAME // 2]}…{name[-LONGEST_NAME // 2:]}'
