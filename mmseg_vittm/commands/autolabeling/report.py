"""What pseudo-labels cover: counted, as a table, a picture and JSON; and the config's lines that read them."""
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ...datasets.class_histogram import COLUMN_WIDTH, ROW_HEIGHT, draw_shares, grid_of, histogram_table
from ...errors import printable
from ...outputs import write_whole
from ...visualization.style import BLUE, INK, WIDTH, house_style, new_figure, render_files
from .kind import SetKind
from .pseudo_set import PICTURES, REPORT, SNIPPET

BINS = 20  # of the histogram of coverage
LEAST = 20  # images of the least coverage that the report names
HEIGHT = 1.9  # inches, of the histogram


@dataclass
class Coverage:
    """What label files hold.

    Attributes:
        kind: How they number classes.
        pixels: Of each class.
        images: That contain each class.
        void: Pixels without a label.
        shares: The share of labelled pixels by image.
    """
    kind: SetKind
    pixels: np.ndarray = field(init=False)
    images: np.ndarray = field(init=False)
    void: int = 0
    shares: dict[str, float] = field(default_factory=dict)

    def __post_init__(self):
        self.pixels, self.images = (np.zeros(len(self.kind.numbers), np.int64) for _ in range(2))

    def add(self, image: str, labels: np.ndarray) -> None:
        """Counts an image's labels, (H, W) uint8 as in its file."""
        counts = np.bincount(labels.reshape(-1), minlength=256)
        found = counts[self.kind.numbers]
        self.pixels += found
        self.images += found > 0
        self.void += labels.size - int(found.sum())
        self.shares[image] = int(found.sum()) / max(labels.size, 1)

    @property
    def share(self) -> float:
        """The share of pixels with a label, over all images."""
        return int(self.pixels.sum()) / max(int(self.pixels.sum()) + self.void, 1)


def report_of(found: Coverage, classes: Sequence[str], failed: dict[str, str], settings: dict) -> dict[str, Any]:
    """Returns the report as JSON has it.

    Args:
        found: What was counted.
        classes: Names.
        failed: Why images were left out.
        settings: Under which the labels were made.
    """
    shares = np.array([*found.shares.values()])
    total = max(int(found.pixels.sum()), 1)
    counts, edges = np.histogram(shares, BINS, (0, 1))
    least = sorted(found.shares, key=found.shares.get)[:LEAST]
    return dict(
        threshold=settings['threshold'], checkpoint=settings['checkpoint'], images=len(shares),
        pixels=dict(labelled=int(found.pixels.sum()), ignored=found.void),
        coverage=dict(all=found.share, median=float(np.median(shares)) if len(shares) else 0.0,
                      histogram=dict(edges=np.round(edges, 4).tolist(), images=counts.tolist()),
                      least={printable(name): round(found.shares[name], 4) for name in least}),
        classes=[dict(name=name, pixels=int(pixels), share=int(pixels) / total, images=int(images))
                 for name, pixels, images in zip(classes, found.pixels, found.images, strict=True)],
        failed={printable(name): printable(reason) for name, reason in failed.items()})


def write_report(folder: Path, found: Coverage, classes: Sequence[str], palette: Sequence[Sequence[int]],
                 failed: dict[str, str], settings: dict) -> None:
    """Writes the report as JSON and as a picture, and the lines of a config that read the set.

    Raises:
        OutputError: One cannot be written.
    """
    write_whole(folder / REPORT, json.dumps(report_of(found, classes, failed, settings), indent=1) + '\n')
    pictures = coverage_files(found, classes, settings['threshold'])
    for name in PICTURES:
        write_whole(folder / name, pictures[Path(name).suffix[1:]])
    write_whole(folder / SNIPPET, snippet_of(found.kind, classes, palette))


def show_report(console: Console, found: Coverage, classes: Sequence[str]) -> None:
    """Prints the classes and the coverage."""
    console.print(histogram_table(classes, found.pixels, dict(labelled=found.images), found.void))
    median = 100 * float(np.median([*found.shares.values()])) if found.shares else 0.0
    console.print(f'{len(found.shares)} images; labelled: {100 * found.share:.1f}% of their pixels, in the median '
                  f'image {median:.1f}%', highlight=False)


def coverage_files(found: Coverage, classes: Sequence[str], threshold: float) -> dict[str, bytes]:
    """Returns the picture as files, by their ending: bars of the classes, and a histogram of images by coverage."""
    rows, columns = grid_of(len(classes))
    heights = [ROW_HEIGHT * rows + 0.9, HEIGHT]
    with house_style():
        figure = new_figure(sum(heights) + 0.25, max(COLUMN_WIDTH * columns + 0.1, WIDTH))
        upper, lower = figure.subfigures(2, 1, height_ratios=heights)
        draw_shares(upper, classes, found.pixels, found.images)
        axes = lower.subplots()
        axes.hist(100 * np.array([*found.shares.values()]), bins=BINS, range=(0, 100), color=BLUE, rwidth=0.9)
        axes.set(xlim=(0, 100), xlabel='labelled pixels of an image (%)', ylabel='images')
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis='y')
        figure.suptitle(f'{len(found.shares)} images, {100 * found.share:.1f}% of their pixels labelled: probability '
                        f'{threshold:g} or more', x=0.01, ha='left', color=INK)
        return render_files(figure)


def snippet_of(kind: SetKind, classes: Sequence[str], palette: Sequence[Sequence[int]]) -> str:
    """Returns a config's lines that read the set, from wherever it is."""
    here = '{{ fileDirname }}/'
    return '\n'.join([
        '# Pseudo-labels of tools/autolabel.py. A config reads them with this file among its _base_:',
        '# train_dataloader = dict(dataset=dict(',
        '#     _delete_=True, pipeline=_base_.train_pipeline, **_base_.pseudo_labels))',
        'pseudo_labels = dict(',
        f'    type={kind.type!r},',
        # Whole paths, which --data-root leaves as they are.
        f'    data_prefix=dict(img_path={here + kind.images!r}, seg_map_path={here + kind.annotations!r}),',
        f'    img_suffix={kind.img_suffix!r},',
        f'    seg_map_suffix={kind.seg_map_suffix!r},',
        f'    reduce_zero_label={kind.reduce_zero_label!r},',
        f'    metainfo=dict(classes={tuple(classes)!r},',
        f'                  palette={[list(map(int, colour)) for colour in palette]!r}))', ''])
