"""Pictures of the worst images: input, truth, prediction and what is wrong side by side; and a sheet of them all."""
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...datasets.bands.reading import preview
from ...evaluation.worst import Thumbnail
from ...visualization.pictures import MARGIN, colourise, enlarge
from .results import Results, percent

TITLES = ('input', 'truth', 'prediction', 'wrong pixels')
TEXT, HEAD = 15, 20  # pixels
LEAST = 240  # pixels: height of a panel, or nearly
NARROWEST = 1100  # pixels, of the sheet: room for captions
HIGHEST = 30_000  # pixels, of the sheet, of which JPEG takes 65,500: what is more is in the report alone
LEGEND = 40  # classes in the legend at most
MISSED = 4  # classes that a caption names


def panels_of(image: Thumbnail, results: Results) -> list[np.ndarray]:
    """Returns input, truth, prediction and wrong pixels, each (h, w, 3) uint8 RGB; the input is left out if unknown."""
    void = image.truth >= len(results.classes)
    shown = np.where(void, len(results.classes), image.prediction)
    panels = [colourise(image.truth, results.palette), colourise(shown, results.palette)]
    under = np.full_like(panels[0], 235)
    if image.image is not None:
        seen = preview(image.image)
        seen = np.ascontiguousarray(seen[..., ::-1]) if results.is_bgr else seen
        panels.insert(0, seen)
        under = (160 + seen.mean(-1, keepdims=True) * 0.35).repeat(3, -1).astype(np.uint8)
    wrong = ~void & (image.truth != image.prediction)
    return [*panels, np.where(wrong[..., None], colourise(image.prediction, results.palette), under)]


def strip(panels: Sequence[np.ndarray], titles: bool = True) -> np.ndarray:
    """Returns panels of one size side by side, (h, w, 3) uint8 RGB, under their titles; small ones are enlarged."""
    panels = [enlarge(panel, LEAST) for panel in panels]
    height, width = panels[0].shape[:2]
    head = TEXT + MARGIN if titles else 0
    canvas = Image.new('RGB', ((width + MARGIN) * len(panels) - MARGIN, head + height), 'white')
    draw = ImageDraw.Draw(canvas)
    for number, (panel, title) in enumerate(zip(panels, TITLES[-len(panels):], strict=True)):
        left = number * (width + MARGIN)
        canvas.paste(Image.fromarray(panel), (left, head))
        if titles:
            draw.text((left, head / 2), title, fill='black', font=ImageFont.load_default(size=TEXT), anchor='lm')
    return np.asarray(canvas)


def caption(image: Thumbnail, number: int, results: Results) -> str:
    """Returns what is said of one of the worst images: its rank, name, mIoU, confusions and missed classes."""
    score = image.score
    parts = [f'{number}. {results.short_name(score.name)}: mIoU {percent(score.miou, 1)}']
    parts += [f'{results.classes[pair.truth]} taken for {results.classes[pair.prediction]} '
              f'{percent(pair.pixels / score.pixels, 0)}%' for pair in score.confused]
    if score.missed:
        names = [results.classes[one] for one in score.missed]
        parts.append(f'missed: {", ".join(names[:MISSED])}{", ..." * (len(names) > MISSED)}')
    return ' · '.join(parts)


def contact_sheet(results: Results) -> np.ndarray:
    """Returns the worst images below each other with their captions, (h, w, 3) uint8 RGB, under a legend.

    As many as there is room for, see `HIGHEST`.
    """
    strips, line, high = [], TEXT + MARGIN, 0
    for image in results.worst:
        one = strip(panels_of(image, results), titles=not strips)
        high += one.shape[0] + line + 2 * MARGIN
        if high > HIGHEST:
            break
        strips.append(one)
    font = ImageFont.load_default(size=TEXT)
    width = max([NARROWEST, *(one.shape[1] for one in strips)])
    seen = _seen(results)
    legend = _legend_places([results.classes[place] for place in seen], font, width)
    top = 2 * MARGIN + HEAD + line * (legend[-1][1] + 1 if legend else 0) + MARGIN
    height = top + sum(one.shape[0] + line + 2 * MARGIN for one in strips)
    canvas = Image.new('RGB', (width + 2 * MARGIN, height), 'white')
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, MARGIN), f'The {len(strips)} worst of {len(results.details.images)} images',
              fill='black', font=ImageFont.load_default(size=HEAD))
    for place, (left, row) in zip(seen, legend, strict=True):
        x, y = MARGIN + left, 2 * MARGIN + HEAD + row * line
        draw.rectangle((x, y, x + TEXT, y + TEXT), fill=tuple(map(int, results.palette[place])), outline='gray')
        draw.text((x + TEXT + 5, y + TEXT / 2), results.classes[place], fill='black', font=font, anchor='lm')
    for number, (image, picture) in enumerate(zip(results.worst, strips, strict=False), 1):
        draw.text((MARGIN, top + line / 2), _cut(caption(image, number, results), font, width), fill='black', font=font,
                  anchor='lm')
        canvas.paste(Image.fromarray(picture), (MARGIN, top + line))
        top += picture.shape[0] + line + 2 * MARGIN
    return np.asarray(canvas)


def _seen(results: Results) -> list[int]:
    """Returns the classes in the pictures, those of most pixels first."""
    counts = np.zeros(len(results.classes) + 1, np.int64)
    for image in results.worst:
        for labels in (image.truth, image.prediction):
            counts += np.bincount(labels.reshape(-1), minlength=len(counts))
    order = np.argsort(-counts[:-1], kind='stable')
    return [int(place) for place in order if counts[place]][:LEGEND]


def _legend_places(names: Sequence[str], font: ImageFont.FreeTypeFont, width: int) -> list[tuple[int, int]]:
    """Returns where the entries of a legend stand: pixels from the left, and the row."""
    places, left, row = [], 0, 0
    for name in names:
        wide = TEXT + 5 + int(font.getlength(name)) + 2 * MARGIN
        if left and left + wide > width:
            left, row = 0, row + 1
        places.append((left, row))
        left += wide
    return places


def _cut(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    while text and font.getlength(text) > width:
        text = text[:-2].rstrip(' ·,.') + '…'
    return text
