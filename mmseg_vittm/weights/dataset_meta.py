"""Classes and palette that a checkpoint carries."""
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from ..errors import CheckpointError
from .files import existing, is_safetensors


def read_metadata(path: str | Path) -> dict[str, str]:
    """Returns the texts in a safetensors file's header; nothing for other files."""
    path = existing(path)
    if not is_safetensors(path):
        return {}
    with safe_open(path, 'pt') as file:
        return file.metadata() or {}


def read_dataset_meta(path: str | Path) -> Any:
    """Returns `dataset_meta`, classes and palette, from a safetensors file's header; None where it has none.

    Raises:
        CheckpointError: It is no JSON.
    """
    text = read_metadata(path).get('dataset_meta')
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f'{path}: the dataset_meta in its header is no JSON; convert the checkpoint again '
                              '(tools/convert_checkpoint.py)') from error


def check_dataset_meta(meta: Any, path: str | Path) -> None:
    """Checks the classes (names) and the palette (as many RGB triples) of a checkpoint, where it has them.

    Raises:
        CheckpointError: They are something else.
    """
    def rgb(colour: Any) -> bool:
        return len(colour) == 3 and all(0 <= int(value) == value <= 255 for value in colour)

    try:
        classes, palette = (None, None) if meta is None else (meta.get('classes'), meta.get('palette'))
        names = classes is None or isinstance(classes, (list, tuple)) and all(type(name) is str for name in classes)
        colours = palette is None or len(palette) == 0 or (
            all(rgb(colour) for colour in palette) and (classes is None or len(palette) == len(classes)))
    except (AttributeError, TypeError, ValueError, OverflowError):
        names = colours = False
    if not (names and colours):
        raise CheckpointError(f"{path}: its dataset_meta is damaged: 'classes' must be names, 'palette' as many RGB "
                              'triples; save or convert the checkpoint again')
