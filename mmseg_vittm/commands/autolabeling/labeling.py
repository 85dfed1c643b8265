"""Unlabelled images to a data set of pseudo-labels, with progress, gone on with where an earlier run stopped."""
import math
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import nn

from ...datasets.image_files import AGAIN, damage, no_file, read_file
from ...engine.state.saved_settings import plain
from ...errors import DataError, InputError, one_line
from ...inference.predictor import Predictor
from ..progress import Reporter, open_console
from ..segmenting.media import IMAGES
from .kind import SetKind
from .pseudo_set import SNIPPET, PseudoSet, checkpoint_settings
from .report import Coverage, show_report, write_report

MOST_NAMED = 20  # of the images that cannot be labelled


@dataclass
class LabelOptions:
    """How images are labelled.

    Attributes:
        threshold: A pixel whose label is less probable is ignored; 0 to 1.
        link: Hard links to the images in place of copies.
        overwrite: Begin anew, whatever an earlier run wrote.
        keep_going: Label the other images where one cannot be labelled.
    """
    threshold: float = 0.9
    link: bool = False
    overwrite: bool = False
    keep_going: bool = False

    def __post_init__(self):
        if not isinstance(self.threshold, (int, float)) or not 0 <= self.threshold <= 1 or math.isnan(self.threshold):
            raise InputError(f'threshold must be a probability from 0 to 1, got {self.threshold}')


def list_images(folder: str, out: str) -> list[str]:
    """Lists the images of a folder and the folders in it, sorted, relative to it and with `/`; no hidden ones.

    Raises:
        InputError: There is no such folder, or no image in it; or `out` and it lie in each other.
    """
    if not folder or not out:
        raise InputError(f'the name of the folder {"for labels" if folder else "of images"} is empty')
    root, target = os.path.realpath(folder), os.path.realpath(out)
    if not os.path.isdir(root):
        raise InputError(f'{folder}: {"no folder, but a file" if os.path.exists(root) else "no such folder"}; give a '
                         'folder of images')
    if os.path.commonpath([root, target]) in (root, target):
        raise InputError(f'{out}: lies in the folder of images {folder}, or that in it; give another out=DIR')
    found, problems = [], []
    for place, folders, names in os.walk(root, onerror=problems.append):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        found += [os.path.relpath(os.path.join(place, name), root).replace(os.sep, '/') for name in names
                  if not name.startswith('.') and os.path.splitext(name)[1].lower() in IMAGES]
    if problems:
        raise InputError(f'{problems[0].filename}: cannot be listed ({one_line(problems[0])}); make it a readable '
                         'folder')
    if not found:
        raise InputError(f'{folder}: no images in this folder, nor in the folders in it ({", ".join(sorted(IMAGES))})')
    return sorted(found)


def settings_of_labels(cfg: Config, kind: SetKind, folder: str, checkpoint: str, sha256: str, dtype: str,
                       threshold: float) -> dict[str, Any]:
    """Returns what decides pseudo-labels, as JSON has it."""
    return dict(
        config=str(cfg.filename), checkpoint=checkpoint_settings(checkpoint, sha256), threshold=float(threshold),
        dtype=dtype, folder=os.path.realpath(folder), model=plain(cfg.model), test_pipeline=plain(cfg.test_pipeline),
        kind=kind.plain())


def label_images(model: nn.Module, pseudo_set: PseudoSet, folder: str, settings: dict[str, Any],
                 options: LabelOptions) -> None:
    """Labels what is not labelled yet, and reports on all.

    Args:
        model: A segmentor of `mmseg_vittm.load_model`.
        pseudo_set: Where images and labels go; it is held, and its `begin` was called.
        folder: The folder of the images.
        settings: Of `settings_of_labels`.
        options: The rest.

    Raises:
        InputError: Images cannot be labelled; names them.
        OutputError: Something cannot be written.
    """
    predictor, kind = Predictor(model, with_confidence=True), pseudo_set.kind
    found, failed, console = Coverage(kind), {}, open_console()
    todo = []
    for image in pseudo_set.names:
        if (labels := pseudo_set.labels_of(image, Path(folder) / image)) is None:
            pseudo_set.remove(image)
            todo.append(image)
        else:
            found.add(image, labels)
    if found.shares:
        MMLogger.get_current_instance().info(
            f'{len(found.shares)} of {len(pseudo_set.names)} images are labelled already')
    with Reporter(console, 'images') as reporter:
        for number, (image, labels) in enumerate(_labels(predictor, todo, Path(folder), kind, options, failed), 1):
            if labels is not None:
                pseudo_set.write(image, Path(folder) / image, labels, options.link)
                found.add(image, labels)
            reporter(number, len(todo), 'Labelling')
    found.shares = dict(sorted(found.shares.items()))
    write_report(pseudo_set.folder, found, predictor.classes, predictor.palette, failed, settings)
    show_report(console, found, predictor.classes)
    console.print(f'Written to {pseudo_set.folder}; a config reads it by {pseudo_set.folder / SNIPPET}', markup=False,
                  highlight=False)
    if failed:
        named = [str(Path(folder) / image) for image in [*failed][:MOST_NAMED]]
        more = f' and {len(failed) - MOST_NAMED} more' if len(failed) > MOST_NAMED else ''
        raise InputError(f'{len(failed)} of {len(pseudo_set.names)} images could not be labelled, see above: '
                         f'{", ".join(named)}{more}')


def _labels(predictor: Predictor, images: list[str], folder: Path, kind: SetKind, options: LabelOptions,
            failed: dict[str, str]) -> Iterator[tuple[str, np.ndarray | None]]:
    """Yields images, and their labels as label files have them, None where it cannot be labelled."""
    waiting, left_out = deque(), deque()

    def fail(image: str, error: InputError) -> None:
        if not options.keep_going:
            raise error
        MMLogger.get_current_instance().error(str(error))
        failed[image] = str(error)

    def sources() -> Iterator[Path]:
        for image in images:
            try:
                _check_whole(folder / image)
            except InputError as error:
                fail(image, error)
                left_out.append(image)
                continue
            waiting.append(image)
            yield folder / image

    given = sources()
    if (first := next(given, None)) is not None:
        for result in predictor(chain([first], given), 'return'):
            image, labels = waiting.popleft(), None
            if isinstance(result, InputError):
                fail(image, result)
            else:
                sure = result.confidence >= options.threshold
                labels = np.where(sure, kind.numbers[result.labels], np.uint8(kind.void))
            yield image, labels
            while left_out:
                yield left_out.popleft(), None
    while left_out:
        yield left_out.popleft(), None


def _check_whole(path: Path) -> None:
    """Checks that a file is a whole image, as far as that shows without decoding it.

    Raises:
        DataError: It is not: a data set with it could not be trained on.
    """
    if (error := no_file(path)) is not None:
        raise error
    if (problem := damage(read_file(str(path), dict(backend='local')))) is not None:
        raise DataError(path, problem, AGAIN)
