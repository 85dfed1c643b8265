"""Classes and palette that a checkpoint carries."""
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import nn

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


def num_classes(model: nn.Module) -> set[int]:
    """Returns how many classes a segmentor may be said to have, by its last decode head; nothing where that is unknown.

    A head of one output channel tells a class from the rest: its one name, or both, may be given.
    """
    head = getattr(model, 'decode_head', None)
    head = head[-1] if isinstance(head, nn.ModuleList) and len(head) else head
    count = getattr(head, 'num_classes', None)
    if type(count) is not int or count < 2 and getattr(head, 'threshold', None) is None:  # 1: heads that measure depth
        return set()
    return {count, 1, 2} if getattr(head, 'out_channels', None) == 1 else {count}


def check_classes(meta: Any, model: nn.Module, whose: str) -> None:
    """Checks that classes and colours are as many as a segmentor has.

    Args:
        meta: `dataset_meta`, as `check_dataset_meta` takes it.
        model: The segmentor; one whose number of classes cannot be known takes all.
        whose: What the meta is of, for the message: a file.

    Raises:
        CheckpointError: They are more, or fewer; names both numbers.
    """
    counts = num_classes(model)
    if not meta or not counts:
        return
    for name, what in (('classes', 'classes'), ('palette', 'colours')):
        listed = meta.get(name)
        if listed is not None and len(listed) and len(listed) not in counts:
            raise CheckpointError(f'{whose}: its dataset_meta has {len(listed)} {what}, the decode head of the model '
                                  f'num_classes={max(counts)}; take the checkpoint that this config was trained to, or '
                                  'save it again with the classes of its own data set')
