"""From folders to a config and a report: what `tools/new_dataset.py` does."""
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...datasets.bands.reading import is_raster
from ...datasets.label_checks import IGNORED
from ...datasets.paired import label_map_of
from ...datasets.survey import Fault
from ...errors import DataError, InputError
from ...outputs import claim_file, claim_folder, refuse_data_folder, refuse_inputs, write_whole
from .budgets import BUDGETS, Settings, settings_for
from .class_lists import ClassEntry, classes_beside, given_classes
from .config_text import config_text
from .converting import convert, describe, target_folder, targets
from .label_files import INDEX
from .layouts import Layout, find_layout
from .looking import Looks, look_at_all
from .pairs import Pair
from .polygons import Drawing, read_polygons
from .report import render_report
from .splits import split_by_lists, split_by_share
from .summary import Summary
from .tables import table_of_indices, table_to_convert

REPORT = 'report.html'
LISTS = ('train.txt', 'val.txt', 'test.txt')
FILES = (*LISTS, REPORT)  # in the folder beside the config
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Wishes:
    """What the user says.

    Attributes:
        images: Folder of the images, or of all.
        labels: Folder of the labels, or a JSON file of polygons; None where `images` has all.
        out: The config to write.
        classes: See `class_lists.given_classes`; None is to find them.
        zero: What label 0 means, see `meaning.find_meaning`; None is to see it.
        void: Labels that do not count.
        lists: Files that list the images of splits, by split.
        val_share: The share of images that validate where nothing says which; None is a fifth.
        seed: What these are drawn by.
        budget: See `budgets.BUDGETS`.
        weigh_classes: Whether the loss weighs classes.
        allow_missing: Leave out files without partner.
        overwrite: Replace what an earlier run has written.
    """
    images: str
    labels: str | None
    out: str
    classes: str | None = None
    zero: str | None = None
    void: tuple[int, ...] = ()
    lists: tuple[tuple[str, str], ...] = ()
    val_share: float | None = None
    seed: int = 0
    budget: str = 'cpu'
    weigh_classes: bool = False
    allow_missing: bool = False
    overwrite: bool = False


class FaultsFound(InputError):
    """Files are wrong.

    Args:
        faults: Which, and why.
    """

    def __init__(self, faults: Sequence[Fault]):
        self.faults = list(faults)
        super().__init__(f'{len(faults)} of the files are wrong; nothing was written')


def make_dataset(wishes: Wishes, configs: Path, workers: int, progress: Progress) -> tuple[Summary, Settings]:
    """Finds a data set, looks at all of it, and writes its config, its lists and its report.

    Args:
        wishes: What the user says.
        configs: The folder of this project's configs.
        workers: Processes that look at files.
        progress: Is called after every file with the number done, that of all, and what goes on.

    Returns:
        What was found, and what the config sets by it.

    Raises:
        FaultsFound: Files are wrong.
        InputError: Something is not found, does not fit or can be read in two ways; says what to give.
        OutputError: Something cannot be written.
    """
    config = Path(wishes.out)
    if config.suffix != '.py' or not config.stem.isidentifier():
        raise InputError(f'out={wishes.out}: a config is a Python file of letters, digits and _; such as '
                         'configs/mine.py')
    wishes = replace(wishes, images=os.path.abspath(wishes.images),
                     labels=wishes.labels and os.path.abspath(wishes.labels))
    folder = config.with_suffix('')
    claim_file(config, wishes.overwrite)
    claim_folder(folder, FILES, wishes.overwrite)
    layout = find_layout(wishes.images, wishes.labels, wishes.allow_missing)
    data = {layout.root, layout.label_folder or layout.root, Path(wishes.images)}
    refuse_data_folder(folder, 'out', [(Path(os.path.realpath(place)), False) for place in data])
    entries, said, read = _classes(wishes, layout)
    pairs, drawings, sources, drawn = _all_pairs(layout, wishes)
    entries = drawn if drawn is not None and wishes.classes is None else entries
    split, how = _split(wishes, layout, pairs)
    looks = look_at_all(pairs, drawings, sources, workers, progress)
    if looks.faults:
        raise FaultsFound(looks.faults)
    summary = Summary(config.stem, Path(os.path.abspath(layout.root)), layout.name, [], [])
    summary.said = [f'layout: {layout.name}', *said, *how]
    _bands(summary, looks)
    if drawings is None and all(look.kind == INDEX for look in looks.looks):
        table = table_of_indices(summary, entries, looks, wishes.zero, wishes.void, layout)
        are_colours, places = False, None
    else:
        table, are_colours = table_to_convert(summary, entries, looks, wishes.zero, wishes.void, layout)
        places = targets(pairs, layout.label_folder, Path(wishes.images), wishes.overwrite)
        kinds = {look.kind for look in looks.looks}
        summary.said.append(f'{describe(kinds, drawings is not None)}: written as label maps to '
                            f'{target_folder(layout.label_folder)}')
        summary.root = Path(os.path.commonpath([summary.root, os.path.abspath(target_folder(layout.label_folder))]))
    label_map_of(summary.label_values, summary.void_values, len(summary.classes), summary.reduce_zero_label)
    refuse_inputs([config, *(folder / name for name in FILES), *(places or ())], _inputs(wishes, layout, pairs, read))
    final = pairs if places is None else [Pair(one.image, place) for one, place in zip(pairs, places, strict=True)]
    _fill(summary, split, pairs, final, looks, table)
    budget = BUDGETS[wishes.budget]
    settings = settings_for(budget, summary.sizes['train'], len(summary.pairs['train']), summary.takes_bands)
    text = config_text(summary, budget, settings, Path(os.path.abspath(config)), configs, wishes.weigh_classes)
    lists = {name: ''.join(f'{_below(one.image, summary.root)}\t{_below(one.label, summary.root)}\n' for one in chosen)
             for name, chosen in summary.pairs.items()}
    if places is not None:
        convert(pairs, places, table, are_colours, [look.size for look in looks.looks], drawings, sources, progress)
    report = render_report(summary, layout.left_out, settings, progress)
    for name, lines in lists.items():
        write_whole(folder / f'{name}.txt', lines.encode(errors='surrogateescape'))
    write_whole(folder / REPORT, report)
    write_whole(config, text)  # the last, so that a config has all that it names
    return summary, settings


def _inputs(wishes: Wishes, layout: Layout, pairs: list[Pair], classes: str | None) -> list[str | Path]:
    """Returns all files that were read, which none that is written may replace."""
    files = [file for one in pairs for file in one if file is not None]
    return [*files, *layout.polygons.values(), *layout.lists, *(file for _, file in wishes.lists),
            *([classes] if classes else [])]


def _classes(wishes: Wishes, layout: Layout) -> tuple[list[ClassEntry] | None, list[str], str | None]:
    """Returns the classes, sentences that tell where they are from, and the file that has them."""
    if wishes.classes is not None:
        return given_classes(wishes.classes), [], wishes.classes if os.path.isfile(wishes.classes) else None
    folders = [layout.root, *([layout.label_folder, layout.label_folder.parent] if layout.label_folder else [])]
    found = classes_beside(folders)
    if found is not None:
        return found[0], [f'classes: of {found[1]}'], str(found[1])
    if layout.classes is not None:
        return layout.classes, [f'classes: those of {layout.name}'], None
    return None, [], None


def _all_pairs(layout: Layout, wishes: Wishes) -> tuple[list[Pair], list[Drawing] | None, list[str],
                                                         list[ClassEntry] | None]:
    """Returns all pairs; of polygons the drawings, the file of each, and the classes too."""
    if not layout.polygons:
        return [one for part in layout.pairs.values() for one in part], None, [], None
    pairs, drawings, sources, classes = [], [], [], None
    for split, file in layout.polygons.items():
        found = read_polygons(file, Path(wishes.images), wishes.allow_missing)
        names = [entry.name for entry in found.classes]
        if classes is not None and [entry.name for entry in classes] != names:
            raise DataError(file, f'has the categories {", ".join(names)}, not those of the other files', 'export all '
                            'alike')
        classes = found.classes
        layout.pairs[split] = [Pair(drawing.image, None) for drawing in found.drawings]
        pairs += layout.pairs[split]
        drawings += found.drawings
        sources += [str(file)] * len(found.drawings)
    layout.label_folder = Path(wishes.images)
    return pairs, drawings, sources, classes


def _split(wishes: Wishes, layout: Layout, pairs: list[Pair]) -> tuple[dict[str, list[Pair]], list[str]]:
    """Returns the pairs by split, and sentences that tell how they were split."""
    said = []
    if wishes.lists:
        found = split_by_lists(pairs, layout.root, {split: Path(file) for split, file in wishes.lists})
        if set(found) == {'val'}:
            chosen = set(found['val'])
            found = dict(train=[one for one in pairs if one not in chosen], val=found['val'])
    else:
        found = dict(layout.pairs)
    if 'all' in found or wishes.val_share is not None or 'val' not in found:
        share = 0.2 if wishes.val_share is None else wishes.val_share
        said = [f'{share:.0%} were drawn to validate, by the seed {wishes.seed}; where neighbours are alike, as frames '
                'of a video are, scores are too good then: give lists instead']
        rest = found.pop('all', None) or [*found.get('train', []), *found.get('val', [])]
        found = dict(split_by_share(rest, share, wishes.seed),
                     **{split: found[split] for split in found if split == 'test'})
    for split in ('train', 'val'):
        if not found.get(split):
            raise InputError(f'{layout.root}: no image is left to {dict(train="train", val="validate")[split]}; give '
                             'lists of both, or val_share')
    return {split: found[split] for split in ('train', 'val', 'test') if found.get(split)}, said


def _bands(summary: Summary, looks: Looks) -> None:
    """Notes what the images are made of, and whether it takes `LoadBands` to read them."""
    first = looks.looks[0]
    usual = [look.dtype == 'uint8' and (not is_raster(one.image) or look.bands in (1, 3))
             for one, look in zip(looks.pairs, looks.looks, strict=True)]
    summary.takes_bands = not all(usual)
    summary.bands, summary.dtype = (first.bands, first.dtype) if summary.takes_bands else (3, 'uint8')
    if not summary.takes_bands:
        return
    for one, look in zip(looks.pairs, looks.looks, strict=True):
        if (look.bands, look.dtype) != (first.bands, first.dtype):
            raise DataError(str(one.image), f'{look.bands} bands of {look.dtype}, where {looks.pairs[0].image} has '
                            f'{first.bands} of {first.dtype}', 'give all images the same bands')
    summary.said.append(f'images of {first.bands} bands of {first.dtype}: read by LoadBands, no scaling')


def _fill(summary: Summary, split: dict[str, list[Pair]], pairs: list[Pair], final: list[Pair], looks: Looks,
          table: dict[int, int]) -> None:
    """Notes what is known of each split."""
    at = {one: number for number, one in enumerate(pairs)}
    for name, chosen in split.items():
        numbers = [at[one] for one in chosen]
        summary.pairs[name] = [final[number] for number in numbers]
        found = [looks.looks[number] for number in numbers]
        counts = np.zeros((len(found), len(summary.classes) + 1), np.int64)
        for row, look in enumerate(found):
            for value, count in look.counts.items():
                place = table.get(value, IGNORED)
                counts[row, -1 if place == IGNORED else place] += count
        summary.counts[name] = counts
        summary.sizes[name] = [look.size for look in found]
        summary.edges[name] = [look.edges for look in found]
        summary.digests[name] = [look.digest for look in found]
    if not summary.pixels.any():
        raise InputError(f'{summary.root}: no pixel of the images that train has a class; check the labels')
    if summary.takes_bands:
        count, total, squares = np.sum([looks.looks[at[one]].sums for one in split['train']], axis=0)
        mean = total / np.maximum(count, 1)
        deviation = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0))
        summary.has_gaps = any(look.has_gaps for look in looks.looks)
        summary.mean = mean.tolist()
        summary.std = np.where(deviation > 0, deviation, 1.0).tolist()  # of a band that is the same everywhere


def _below(file: Path, root: Path) -> str:
    """Returns a file's path below a folder, for a list of pairs.

    Raises:
        DataError: Its name has a tab or a line's end.
    """
    name = Path(os.path.relpath(os.path.abspath(file), root)).as_posix()
    if set(name) & set('\t\n\r'):
        raise DataError(str(file), 'its name has a tab or a new line', 'rename it')
    return name
