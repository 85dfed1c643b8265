"""Reports as one HTML file: headings, tables, pictures, with nothing to load from elsewhere."""
import base64
import html
import io
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..errors import printable

QUALITY = 85  # of JPEGs
STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --grey: #595959; --faint: #e4e4e4; --bad: #b34700;
  --bar: #9cc7e4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #17191c; --grey: #a5a5a5; --faint: #34383d;
  --bad: #ff9a5c; --bar: #2c5f80; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1080px;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0.2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.under { color: var(--grey); margin-top: 0; } p { max-width: 80ch; } .bad { color: var(--bad); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.7rem; border-bottom: 1px solid var(--faint); text-align: right; }
th { position: sticky; top: 0; background: var(--paper); color: var(--grey); font-weight: 600; cursor: pointer; }
th:first-child, td:first-child, .words td, .words th, .left { text-align: left; overflow-wrap: anywhere; }
caption { caption-side: bottom; color: var(--grey); text-align: left; padding-top: 0.4rem; font-size: 0.9em; }
.bar { background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share)); min-width: 5rem; }
.swatch { display: inline-block; width: 0.9em; height: 0.9em; border-radius: 2px; margin-right: 0.5em;
  border: 1px solid var(--grey); vertical-align: -0.08em; }
figure { margin: 1rem 0; } figure img { max-width: 100%; height: auto; background: #fff; }
figcaption { color: var(--grey); font-size: 0.9em; overflow-wrap: anywhere; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1rem; }
.gallery figure { margin: 0; } .gallery img { width: 100%; border-radius: 3px; }
.gallery figure.bad img { outline: 3px solid var(--bad); }
"""
# A click on a column's head sorts by it: numbers by their value, words by the alphabet.
SCRIPT = """
for (const head of document.querySelectorAll('th')) head.addEventListener('click', () => {
  const body = head.closest('table').tBodies[0], at = head.cellIndex;
  const turn = head.dataset.turn = -(head.dataset.turn || 1);
  const key = row => row.cells[at].dataset.value ?? row.cells[at].textContent;
  const order = (a, b) => isNaN(key(a)) || isNaN(key(b)) ? key(a).localeCompare(key(b)) : key(a) - key(b);
  body.append(...[...body.rows].sort((a, b) => turn * order(a, b)));
});
"""


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: What stands there.
        value: What the table is sorted by; None is the text.
        share: Length of a bar behind it, 0 to 1; None is no bar.
        colour: RGB of a swatch before it; None is none.
        is_bad: Whether it stands out.
    """
    text: str
    value: float | None = None
    share: float | None = None
    colour: Sequence[int] | None = None
    is_bad: bool = False


class Page:
    """An HTML page that grows part by part; every text is escaped.

    Args:
        title: Its heading.
        under: A line below that.
    """

    def __init__(self, title: str, under: str = ''):
        self._title = title
        self._parts = [f'<h1>{_escape(title)}</h1><p class="under">{_escape(under)}</p>']

    def heading(self, text: str) -> None:
        """Begins a section."""
        self._parts.append(f'<h2>{_escape(text)}</h2>')

    def text(self, text: str, is_bad: bool = False) -> None:
        """Adds a paragraph."""
        self._parts.append(f'<p{_class("bad", is_bad)}>{_escape(text)}</p>')

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = '',
              words: bool = False, left: Collection[int] = ()) -> None:
        """Adds a table, whose columns can be sorted by a click.

        Args:
            header: Names of the columns.
            rows: A text, number or `Cell` per column.
            caption: Stands below.
            words: Whether columns are of words, set to the left; else numbers, all but the first.
            left: Numbers of further columns of words.
        """
        head = ''.join(f'<th{_class("left", at in left)}>{_escape(name)}</th>' for at, name in enumerate(header))
        body = ''.join(f'<tr>{"".join(_cell(one, at in left) for at, one in enumerate(row))}</tr>' for row in rows)
        under = f'<caption>{_escape(caption)}</caption>' * bool(caption)
        self._parts.append(f'<div class="wide"><table{_class("words", words)}>{under}<thead><tr>{head}</tr></thead>'
                           f'<tbody>{body}</tbody></table></div>')

    def picture(self, picture: np.ndarray | bytes, caption: str = '', kind: str = 'png') -> None:
        """Adds a picture of the page's width at most.

        Args:
            picture: (H, W, 3) uint8 RGB; or a file.
            caption: Stands below.
            kind: `'png'` or `'jpeg'`; of a file `'svg+xml'` too.
        """
        self._parts.append(_figure(picture, caption, kind))

    def gallery(self, pictures: Iterable[tuple[np.ndarray, str, bool]]) -> None:
        """Adds pictures side by side, as JPEG.

        Args:
            pictures: Each (H, W, 3) uint8 RGB, with a caption and whether it stands out.
        """
        self._parts.append(f'<div class="gallery">{"".join(_figure(*one[:2], "jpeg", one[2]) for one in pictures)}'
                           '</div>')

    def render(self) -> str:
        """Returns the page as a file's content."""
        return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
                '<meta name="viewport" content="width=device-width, initial-scale=1">'
                f'<title>{_escape(self._title)}</title><style>{STYLE}</style></head><body>\n'
                + '\n'.join(self._parts) + f'\n<script>{SCRIPT}</script></body></html>\n')


def _escape(text: str) -> str:
    """Returns a text for HTML, in which what is unseen, and what is no character, is written out."""
    return html.escape(printable(text), quote=True)


def _class(name: str, is_so: bool) -> str:
    return f' class="{name}"' if is_so else ''


def _cell(cell: Any, is_left: bool) -> str:
    cell = cell if isinstance(cell, Cell) else Cell(str(cell), cell if isinstance(cell, (int, float)) else None)
    value = '' if cell.value is None else f' data-value="{cell.value}"'
    bar = '' if cell.share is None else f' style="--share: {100 * min(max(cell.share, 0), 1):.1f}%"'
    names = ' '.join(['bar'] * bool(bar) + ['bad'] * cell.is_bad + ['left'] * is_left)
    swatch = '' if cell.colour is None else '<span class="swatch" style="background: rgb({}, {}, {})"></span>'.format(
        *map(int, cell.colour))
    return f'<td{_class(names, bool(names))}{value}{bar}>{swatch}{_escape(cell.text)}</td>'


def _figure(picture: np.ndarray | bytes, caption: str, kind: str, is_bad: bool = False) -> str:
    content = picture if isinstance(picture, bytes) else encoded(picture, kind)
    data = base64.b64encode(content).decode()
    text = _escape(caption)
    return (f'<figure{_class("bad", is_bad)}><img src="data:image/{kind};base64,{data}" alt="{text}" loading="lazy">'
            f'<figcaption>{text}</figcaption></figure>')


def encoded(picture: np.ndarray, kind: str) -> bytes:
    """Returns a picture (H, W, 3) uint8 RGB as a file, `'png'` or `'jpeg'`."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **(dict(quality=QUALITY) if kind == 'jpeg' else {}))
    return buffer.getvalue()
