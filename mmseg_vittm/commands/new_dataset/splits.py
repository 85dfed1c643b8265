"""Which images train and which validate: by lists, or drawn."""
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...errors import DataError, InputError, one_line, shown
from .pairs import Pair

SPLITS = dict(train=('train', 'training'), val=('val', 'valid', 'validation'), test=('test', 'testing'))


def split_by_lists(pairs: Iterable[Pair], root: Path, lists: dict[str, Path]) -> dict[str, list[Pair]]:
    """Returns pairs by files that list the images of each split, a name per line, with ending or without.

    Args:
        pairs: All pairs.
        root: The folder that all images are below.
        lists: Such a file for each split.

    Raises:
        DataError: A name is of no image, or of several; or lies in two splits.
    """
    known: dict[str, list[Pair]] = {}
    for one in pairs:
        relative = Path(os.path.relpath(one.image, root))
        parts = [relative.as_posix(), *('/'.join(relative.parts[at:]) for at in range(1, len(relative.parts)))]
        for name in {*parts, *(str(Path(part).with_suffix('')) for part in parts)}:
            known.setdefault(name, []).append(one)
    found, owner = {}, {}
    for split, file in lists.items():
        found[split] = []
        for line in _lines(file):
            name = line.split()[0] if line not in known else line
            matches = known.get(name, [])
            if len(matches) != 1:
                problem = 'is the name of no labelled image' if not matches else f'may be {len(matches)} images'
                raise DataError(file, f'{shown(name)} {problem}', 'list images as they lie below the folder of all')
            one = matches[0]
            if owner.setdefault(one, split) != split:
                raise DataError(file, f'{shown(name)} is listed in {owner[one]} too', 'list every image once')
            found[split].append(one)
    return found


def listed_names(file: Path) -> list[str]:
    """Returns the names of the images that a file lists, without folders and endings.

    Raises:
        DataError: It cannot be read, or lists none.
    """
    return [Path(line.split()[0]).stem for line in _lines(file)]


def _lines(file: Path) -> list[str]:
    try:
        lines = [line.strip() for line in file.read_text(encoding='utf-8').split('\n')]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(file, f'cannot be read as a list of images ({one_line(error)})',
                        'give a text with a name per line') from error
    found = [line for line in lines if line]
    if not found:
        raise DataError(file, 'lists no image', 'give a text with a name per line')
    return found


def split_by_share(pairs: list[Pair], share: float, seed: int) -> dict[str, list[Pair]]:
    """Returns pairs drawn to train and to validate; at least one of each.

    Args:
        pairs: All.
        share: Of validation, between 0 and 1.
        seed: What is drawn by, and the names: the order in which a disk lists files does not matter.

    Raises:
        InputError: There are fewer than two images.
    """
    if len(pairs) < 2:
        raise InputError(f'{pairs[0].image if pairs else "the data"}: {len(pairs)} labelled image, of which none could '
                         'validate; add more')
    order = np.random.default_rng(seed).permutation(len(pairs))
    count = min(max(1, round(share * len(pairs))), len(pairs) - 1)
    chosen = set(order[:count].tolist())
    return dict(train=[one for number, one in enumerate(pairs) if number not in chosen],
                val=[one for number, one in enumerate(pairs) if number in chosen])
