"""The report of an evaluation, one HTML file."""
from pathlib import Path

import numpy as np

from ...evaluation.confusion import most_confused
from ...visualization.html import Cell, Page
from .confusion_figure import NUMBERED
from .findings import findings
from .pictures import caption, panels_of, strip
from .results import Results, percent

PAIRS = 15  # of confused classes in the table
LOW = 0.5  # a class below this share of the mean IoU stands out
NAMES = dict(mIoU='mIoU', mAcc='mean recall', aAcc='right pixels', mBIoU='mean Boundary IoU', ECE='calibration error')


def render_report(results: Results, figures: dict[str, bytes]) -> str:
    """Returns the report.

    Args:
        results: What was found.
        figures: SVGs of `confusion` and, where it is known, `reliability`.
    """
    page = Page(f'{Path(results.config).stem} on the {results.split} split',
                f'{len(results.details.images)} images · {results.checkpoint}')
    scores = results.details.scores()
    page.table([NAMES[name] for name in NAMES if name in scores],
               [[f'{percent(scores[name])}%' if scores[name] == scores[name] else '-' for name in NAMES
                 if name in scores]])
    if results.left_out:
        page.text(f'Bad images are left out, {len(results.left_out)}: these are scores of a smaller data set.', True)
    page.heading('What is wrong')
    for sentence in findings(results.details):
        page.text(sentence)
    _classes(page, results)
    _confusions(page, results, figures['confusion'])
    _calibration(page, results, figures.get('reliability'))
    _worst(page, results)
    page.heading('How this was made')
    page.table(['', ''], [['config', results.config], ['checkpoint', results.checkpoint],
                          *([name, ', '.join(f'{one} {version}' for one, version in value.items())
                             if isinstance(value, dict) else str(value)]
                            for name, value in results.conditions.items())], words=True)
    return page.render()


def _classes(page: Page, results: Results) -> None:
    page.heading('Classes')
    details, scores, mean = results.details, results.details.by_class, results.details.scores()['mIoU']
    pixels = details.matrix.sum(1)
    rows = []
    for place, name in enumerate(results.classes):
        shares = [scores.iou[place], scores.recall[place], scores.precision[place], scores.f1[place],
                  details.boundary_iou[place]]
        cells = [Cell(percent(share, 1) or '-', -1.0 if share != share else float(share),
                      None if share != share or number not in (0, 4) else float(share),
                      is_bad=number == 0 and bool(share < LOW * mean)) for number, share in enumerate(shares)]
        label = f'{name} ({place})' if len(results.classes) > NUMBERED else name  # as the matrix has them
        rows.append([Cell(label, colour=results.palette[place]), *cells,
                     Cell(percent(pixels[place] / max(pixels.sum(), 1)), float(pixels[place])),
                     int(details.images_with[place])])
    page.table(['class', 'IoU', 'recall', 'precision', 'F1', 'Boundary IoU', 'pixels (%)', 'images'], rows,
               'In percent. Recall: how much of the class was found. Precision: how much of what was predicted is the '
               'class. Boundary IoU: the same as IoU within a band of '
               f"{percent(results.boundary, 1)}% of the image's diagonal inside the outlines. Marked: an IoU below "
               'half of the mean. A click on a head sorts.')


def _confusions(page: Page, results: Results, figure: bytes) -> None:
    page.heading('What is taken for what')
    page.picture(figure, 'A row per true class: what its pixels were taken for, in percent of the class. Blue is '
                 'right, red is wrong.', 'svg+xml')
    matrix = results.details.matrix
    wrong = max(int(matrix.sum() - np.trace(matrix)), 1)
    pairs = most_confused(matrix, PAIRS)
    if pairs:
        page.table(['truth', 'taken for', 'of the class (%)', 'of wrong pixels (%)', 'pixels'],
                   [[Cell(results.classes[pair.truth], colour=results.palette[pair.truth]),
                     Cell(results.classes[pair.prediction], colour=results.palette[pair.prediction]),
                     Cell(percent(pair.share, 1), pair.share, pair.share),
                     Cell(percent(pair.pixels / wrong, 1), pair.pixels / wrong, pair.pixels / wrong),
                     Cell(f'{pair.pixels:,}', pair.pixels)] for pair in pairs],
                   'The pairs that cost the most pixels.', left=(1,))


def _calibration(page: Page, results: Results, figure: bytes | None) -> None:
    page.heading('How sure it is')
    if figure is None:
        page.text('The segmentor does not say how sure it is of each pixel.')
        return
    page.picture(figure, 'Of the pixels that the model is so sure of, how many are right. Bars below the dashed line: '
                 'too sure. Below: how many pixels there are of each confidence.', 'svg+xml')


def _worst(page: Page, results: Results) -> None:
    if not results.worst:
        return
    page.heading('Worst images')
    page.text("By mIoU over the classes in the image or its prediction. Shares of confusions are of the image's "
              'labelled pixels; missed classes have no right pixel. Wrong pixels are coloured as they were predicted. '
              'Black: not labelled. Colours: see Classes.')
    for number, image in enumerate(results.worst, 1):
        page.picture(strip(panels_of(image, results), titles=number == 1), caption(image, number, results), 'jpeg')
