"""Pictures of segmentations: overlays, legends of the classes seen, panels side by side."""
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MARGIN = 8  # pixels
IGNORED = (0, 0, 0)


def colourise(labels: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Returns labels (H, W) in the palette's colours, (H, W, 3) uint8 RGB; labels beyond it are black."""
    table = np.vstack([np.asarray(palette, np.uint8), np.asarray([IGNORED], np.uint8)])
    return table[np.minimum(labels.astype(np.int64), len(palette))]


def overlay(image: np.ndarray, labels: np.ndarray, palette: Sequence[Sequence[int]],
            opacity: float = 0.5) -> np.ndarray:
    """Blends labels (H, W) over an image (H, W, 3) uint8 RGB.

    Args:
        image: The image.
        labels: Class indices.
        palette: One RGB colour per class.
        opacity: Weight of the labels' colours, 0 to 1.

    Returns:
        The picture, (H, W, 3) uint8 RGB.
    """
    return np.round(image * (1 - opacity) + colourise(labels, palette) * opacity).astype(np.uint8)


def add_legend(picture: np.ndarray, labels: np.ndarray, classes: Sequence[str],
               palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Sets a legend to the right of a picture: the classes seen, largest first, with their share of the area.

    Where they do not fit the picture's height, they stand in several columns.

    Args:
        picture: (H, W, 3) uint8 RGB.
        labels: Class indices (of any shape); those beyond the classes are left out.
        classes: Names of the classes.
        palette: One RGB colour per class.

    Returns:
        The wider picture, (H', W', 3) uint8 RGB; taller where the legend is.
    """
    counts = np.bincount(labels.reshape(-1).astype(np.int64), minlength=len(classes))[:len(classes)]
    seen = [int(i) for i in np.argsort(-counts, kind='stable') if counts[i]]
    size = int(np.clip(picture.shape[0] / 32, 11, 22))
    font = ImageFont.load_default(size=size)
    row = size + MARGIN
    texts = [f'{classes[i]}  {100 * counts[i] / max(labels.size, 1):.1f}%' for i in seen]
    width = 3 * MARGIN + size + max([int(font.getlength(text)) + 1 for text in texts], default=0)
    rows = max(8, (picture.shape[0] - 2 * MARGIN) // row)  # a column; further ones stand beside it
    columns = -(-len(seen) // rows)
    height = max(picture.shape[0], 2 * MARGIN + row * min(rows, len(seen)))
    canvas = Image.new('RGB', (picture.shape[1] + width * columns, height), 'white')
    canvas.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(canvas)
    for n, (i, text) in enumerate(zip(seen, texts, strict=True)):
        left = picture.shape[1] + MARGIN + width * (n // rows)
        top = MARGIN + n % rows * row
        draw.rectangle((left, top, left + size, top + size), fill=tuple(int(c) for c in palette[i]), outline='gray')
        draw.text((left + size + MARGIN, top + size / 2), text, fill='black', font=font, anchor='lm')
    return np.asarray(canvas)


def enlarge(picture: np.ndarray, least: int = 256) -> np.ndarray:
    """Repeats the pixels of a small picture (H, W, 3) until it is at least so high, or nearly."""
    factor = max(1, least // picture.shape[0])
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def panels(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str]) -> np.ndarray:
    """Sets pictures side by side in rows, under one title per column.

    Args:
        rows: Per row, pictures (H, W, 3) uint8 RGB, of any sizes.
        titles: One per column.

    Returns:
        The picture, (H', W', 3) uint8 RGB.
    """
    widths = [max(row[column].shape[1] for row in rows) for column in range(len(titles))]
    heights = [max(picture.shape[0] for picture in row) for row in rows]
    size = int(np.clip(min(widths) / 10, 11, 22))
    font, head = ImageFont.load_default(size=size), size + 2 * MARGIN
    canvas = Image.new('RGB', (sum(widths) + MARGIN * (len(widths) + 1), head + sum(heights) + MARGIN * len(rows)),
                       'white')
    draw = ImageDraw.Draw(canvas)
    lefts = np.cumsum([MARGIN] + [width + MARGIN for width in widths])
    for left, title in zip(lefts, titles, strict=False):
        draw.text((int(left), head / 2), title, fill='black', font=font, anchor='lm')
    top = head
    for row, height in zip(rows, heights, strict=True):
        for left, picture in zip(lefts, row, strict=False):
            canvas.paste(Image.fromarray(picture), (int(left), top))
        top += height + MARGIN
    return np.asarray(canvas)
