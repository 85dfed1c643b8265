"""The files of an evaluation, and its table on the terminal."""
import csv
import io
import json
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from ...errors import printable
from ...outputs import write_whole
from ...version import __version__
from ...visualization.html import encoded
from ...visualization.style import house_style, render_files
from .confusion_figure import confusion_figure
from .pictures import contact_sheet
from .reliability_figure import reliability_figure
from .report import render_report
from .results import CLASSES, REPORT, SCORES, WORST, Results, percent

COLUMNS = ('class', 'IoU', 'recall', 'precision', 'F1', 'boundary IoU', 'pixels', 'images')


def write_results(folder: Path, results: Results) -> None:
    """Writes the files of an evaluation, each whole; of what it does not have, such as calibration, none.

    Raises:
        OutputError: One cannot be written.
    """
    write_whole(folder / CLASSES, class_csv(results))
    write_whole(folder / SCORES, json.dumps(summary(results), indent=1) + '\n')
    about = f'{Path(results.config).stem}, {results.split}'
    with house_style():
        figures = dict(confusion=render_files(confusion_figure(results.details.matrix, results.classes, about)))
        if results.details.reliability is not None:
            figures['reliability'] = render_files(reliability_figure(results.details.reliability, about))
    for name, by_ending in figures.items():
        for ending, content in by_ending.items():
            write_whole(folder / f'{name}.{ending}', content)
    write_whole(folder / REPORT, render_report(results, {name: files['svg'] for name, files in figures.items()}))
    if results.worst:
        write_whole(folder / WORST, encoded(contact_sheet(results), 'jpeg'))


def class_rows(results: Results) -> list[tuple]:
    """Returns a row per class, by `COLUMNS`: shares from 0 to 1, NaN where nothing says anything of one."""
    details, scores = results.details, results.details.by_class
    return list(zip(results.classes, scores.iou, scores.recall, scores.precision, scores.f1, details.boundary_iou,
                    details.matrix.sum(1), details.images_with, strict=True))


def class_csv(results: Results) -> str:
    """Returns the classes' scores as CSV, in percent; nothing where there is none."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator='\n')
    writer.writerow(COLUMNS)
    for name, *shares, pixels, images in class_rows(results):
        writer.writerow([printable(name), *map(percent, shares), pixels, images])
    return buffer.getvalue()


def summary(results: Results) -> dict:
    """Returns the scores as JSON has them, in percent, None where there is none, with what they are of."""
    scores = {name: None if np.isnan(value) else round(100 * value, 4)
              for name, value in results.details.scores().items()}
    return scores | dict(config=results.config, checkpoint=results.checkpoint, split=results.split,
                         images=len(results.details.images), left_out=len(results.left_out),
                         boundary=results.boundary, **results.conditions, mmseg_vittm=__version__)


def class_table(results: Results) -> Table:
    """Returns the classes' scores in percent as a table, with their means, as in `DetailedMetric`."""
    table = Table(title=f'{Path(results.config).stem}, {results.split}: {len(results.details.images)} images',
                  caption='in percent; boundary IoU: of the inner boundaries of the classes alone')
    table.add_column(COLUMNS[0], overflow='fold')
    for name in COLUMNS[1:]:
        table.add_column(name, justify='right')
    for name, *shares, pixels, images in class_rows(results):
        table.add_row(escape(printable(name)), *(percent(share) or '-' for share in shares), f'{pixels:,}',
                      f'{images:,}')
    scores = {name: percent(value) or '-' for name, value in results.details.scores().items()}
    table.add_section()
    table.add_row('mean', scores['mIoU'], scores['mAcc'], '', '', scores['mBIoU'], f'{results.details.matrix.sum():,}',
                  f'{len(results.details.images):,}', style='bold')
    return table
