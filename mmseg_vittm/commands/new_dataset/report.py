"""The report of a data set: one HTML page, what may be wrong first."""
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from ...datasets.bands.reading import read_preview
from ...datasets.label_checks import IGNORED, label_table
from ...datasets.paired import label_map_of
from ...visualization.html import Cell, Page
from ...visualization.pictures import overlay
from .budgets import Settings
from .label_files import read_label
from .summary import Summary

MOST_SUSPICIOUS, SAMPLE = 24, 24  # pictures
SIDE = 288  # pixels of a picture's longer side
MOSTLY_VOID = 0.5
BY_CHANCE = 0.9  # of `Look.edges`: borders that lie where the image has no edges
LISTED = 50  # files in a table
SPLIT_NAMES = dict(train='train', val='validation', test='test')


class Suspicion(NamedTuple):
    """A pair that may be wrong.

    Attributes:
        split: Its split.
        number: Its place there.
        reason: Why.
        weight: How likely it is wrong; the largest come first.
    """
    split: str
    number: int
    reason: str
    weight: float


def suspicions(summary: Summary) -> list[Suspicion]:
    """Returns the pairs that may be wrong, the likeliest first: each once, with all reasons."""
    found: dict[tuple[str, int], list[tuple[float, str]]] = defaultdict(list)
    places: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for split, digests in summary.digests.items():
        for number, digest in enumerate(digests):
            places[digest].append((split, number))
    for same in places.values():
        for place in same[1:]:
            split, number = same[0]
            across = place[0] != split
            found[place].append((3.0 if across else 1.0, f'the same image as {summary.pairs[split][number].image.name}'
                                 + f', in {SPLIT_NAMES[split]}' * across))
    for split, counts in summary.counts.items():
        for number, row in enumerate(counts):
            void = row[-1] / max(row.sum(), 1)
            if void > MOSTLY_VOID:
                found[split, number].append((1 + void, f'{void:.0%} void'))
            elif (row[:-1] > 0).sum() == 1 and len(summary.classes) > 2:
                found[split, number].append((0.5, f'{summary.classes[row[:-1].argmax()]} alone'))
            edges = summary.edges[split][number]
            if edges is not None and edges < BY_CHANCE:
                found[split, number].append((2 - edges, "labels' borders lie where the image has no edges "
                                             f'({edges:.2f} times the mean)'))
    listed = [Suspicion(*place, '; '.join(reason for _, reason in sorted(reasons, reverse=True)),
                        sum(weight for weight, _ in reasons)) for place, reasons in found.items()]
    return sorted(listed, key=lambda one: -one.weight)


def render_report(summary: Summary, left_out: Sequence[str], settings: Settings,
                  progress: Callable[[int, int, str], None]) -> str:
    """Returns the report.

    Args:
        summary: The data set.
        left_out: Files that were left out, with the reason.
        settings: What it is trained with.
        progress: Is called after every picture.
    """
    found = suspicions(summary)
    chosen = [(one.split, one.number, one.reason) for one in found[:MOST_SUSPICIOUS]]
    rng = np.random.default_rng(0)
    others = [(split, number, '') for split in summary.pairs for number in range(len(summary.pairs[split]))
              if (split, number) not in {(one.split, one.number) for one in found}]
    shown = rng.permutation(len(others))[:SAMPLE]
    chosen += [others[number] for number in sorted(shown.tolist())]
    pictures = []
    for done, (split, number, reason) in enumerate(chosen, 1):
        pictures.append((_picture(summary, split, number), _caption(summary, split, number, reason), bool(reason)))
        progress(done, len(chosen), 'drawing the report')
    page = Page(f'Data set {summary.name}', ', '.join(
        f'{len(pairs):,} images to {dict(train="train", val="validate").get(split, split)}'
        for split, pairs in summary.pairs.items()) + f', {len(summary.classes)} classes. {summary.root}')
    page.heading('What may be wrong')
    if found or left_out:
        page.text(f'Suspicious pairs: {len(found)}. Files left out: {len(left_out)}.', is_bad=True)
    else:
        page.text('Nothing: every image and label was read, and no pair is suspicious.')
    rows = [(str(summary.pairs[one.split][one.number].image), SPLIT_NAMES[one.split], one.reason) for one in found]
    rows += [(text.rpartition(': ')[0], '', text.rpartition(': ')[2]) for text in left_out]
    if rows:
        page.table(('image', 'split', 'why'), rows[:LISTED], f'the first {LISTED} of {len(rows)}' * (
            len(rows) > LISTED), words=True)
    if found:
        page.gallery(pictures[:min(len(found), MOST_SUSPICIOUS)])
    _classes(page, summary)
    page.heading('Images')
    _sizes(page, summary, settings)
    for sentence in summary.said:
        page.text(sentence[0].upper() + sentence[1:] + '.')
    if len(pictures) > min(len(found), MOST_SUSPICIOUS):
        page.heading('Drawn at random')
        page.gallery(pictures[min(len(found), MOST_SUSPICIOUS):])
    return page.render()


def _classes(page: Page, summary: Summary) -> None:
    """Adds the table of classes."""
    page.heading('Classes')
    shares = {split: counts[:, :-1].sum(0) / max(counts[:, :-1].sum(), 1) for split, counts in summary.counts.items()}
    largest = max(float(share.max()) for share in shares.values())
    rows = []
    for number, (name, weight) in enumerate(zip(summary.classes, summary.weights, strict=True)):
        row = [Cell(name, colour=summary.palette[number])]
        for split, share in shares.items():
            images = int((summary.counts[split][:, number] > 0).sum())
            never = images == 0
            row += [Cell('never' if never else f'{share[number]:.2%}', float(share[number]),
                         float(share[number]) / largest, is_bad=never), Cell(f'{images:,}', images, is_bad=never)]
        rows.append([*row, Cell(f'{weight:g}', weight)])
    header = ['class', *(f'{SPLIT_NAMES[split]}: {what}' for split in shares for what in ('share', 'images')),
              'class_weight']
    voids = ', '.join(f'{counts[:, -1].sum() / max(counts.sum(), 1):.1%} in {SPLIT_NAMES[split]}'
                      for split, counts in summary.counts.items())
    page.table(header, rows, f'Shares of labelled pixels; void: {voids}. class_weight is what the config suggests, and '
               'leaves off unless asked: by the root of the inverse frequency, 1 for the mean pixel.')


def _sizes(page: Page, summary: Summary, settings: Settings) -> None:
    """Adds the table of sizes."""
    counts: dict[tuple[int, int], int] = defaultdict(int)
    for sizes in summary.sizes.values():
        for size in sizes:
            counts[size] += 1
    listed = sorted(counts.items(), key=lambda one: -one[1])
    page.table(('width x height', 'images'), [(f'{width} x {height}', count) for (height, width), count
                                              in listed[:10]],
               f'{len(listed)} sizes, the most frequent first.' if len(listed) > 10 else '')
    images = 'of at most {} x {}'.format(*settings.scale) if settings.scale else 'of their own size'
    page.text(f'Trained on crops of {settings.crop[1]} x {settings.crop[0]} pixels of images {images}, '
              f'{settings.iterations:,} iterations of {settings.batch}.')
    if summary.takes_bands:
        page.table(('band', 'mean', 'std'), [(number, f'{mean:.5g}', f'{std:.5g}') for number, (mean, std)
                                             in enumerate(zip(summary.mean, summary.std, strict=True))],
                   f'Bands of {summary.dtype}, over all pixels that train; pictures show the first three.')


def _picture(summary: Summary, split: str, number: int) -> np.ndarray:
    """Returns a pair as a picture: the image above the same under its labels, (H, W, 3) uint8 RGB."""
    one = summary.pairs[split][number]
    image = read_preview(one.image)
    label = read_label(one.label).labels.astype(np.uint8)
    labels = label_table(summary.reduce_zero_label, label_map_of(
        summary.label_values, summary.void_values, len(summary.classes), summary.reduce_zero_label))[label]
    factor = SIDE / max(labels.shape)
    size = max(1, round(labels.shape[1] * factor)), max(1, round(labels.shape[0] * factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST)
    labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    known = np.where((labels != IGNORED)[..., None], overlay(small, labels, summary.palette, 0.6), small // 3)
    axis = 0 if size[0] >= size[1] else 1
    return np.concatenate([small, known.astype(np.uint8)], axis=axis)


def _caption(summary: Summary, split: str, number: int, reason: str) -> str:
    row = summary.counts[split][number]
    order = [place for place in np.argsort(-row[:-1], kind='stable')[:4] if row[place]]
    seen = ', '.join(f'{summary.classes[place]} {row[place] / row.sum():.0%}' for place in order)
    name = f'{summary.pairs[split][number].image.name} ({SPLIT_NAMES[split]})'
    return f'{name}: {reason}. {seen}' if reason else f'{name}: {seen}'
