"""Reports as one HTML file, read again by a parser that knows nothing of them."""
import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from mmseg_vittm.visualization.html import Cell, Page, encoded

EVIL = '<script>alert("1")</script> & \'x\''


class Parsed(HTMLParser):
    """The tags of a page in order, (name, attributes, text inside); and those left open."""
    VOID = {'meta', 'img', 'link', 'br'}

    def __init__(self, page: Page):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(page.render())
        assert not self.open, f'left open: {self.open}'

    def handle_starttag(self, tag, attributes):
        self.tags.append([tag, dict(attributes), ''])
        if tag not in self.VOID:
            self.open.append(self.tags[-1])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for tag in self.open:
            tag[2] += data

    def all(self, name: str) -> list[list]:
        return [tag for tag in self.tags if tag[0] == name]

    def texts(self, name: str) -> list[str]:
        return [text for _, _, text in self.all(name)]


def test_texts_are_escaped():
    page = Page(EVIL, EVIL)
    page.heading(EVIL)
    page.text(EVIL, is_bad=True)
    page.table([EVIL], [[EVIL], [Cell(EVIL)]], EVIL)
    page.picture(np.zeros((2, 3, 3), np.uint8), EVIL)
    parsed = Parsed(page)
    assert len(parsed.all('script')) == 1, "the page's own"
    for name in ('title', 'h1', 'h2', 'th', 'td', 'caption', 'figcaption'):
        assert parsed.texts(name)[0] == EVIL
    assert parsed.texts('p') == [EVIL, EVIL] and parsed.all('img')[0][1]['alt'] == EVIL
    assert [tag[1].get('class') for tag in parsed.all('p')] == ['under', 'bad']


def test_nothing_is_loaded_from_elsewhere():
    page = Page('title')
    page.gallery([(np.zeros((2, 2, 3), np.uint8), 'x', False)])
    parsed = Parsed(page)
    assert not parsed.all('link') and all(not tag[1].get('src', 'data:').startswith('http') for tag in parsed.tags)
    assert '@import' not in parsed.texts('style')[0] and 'url(' not in parsed.texts('style')[0]


def test_cells():
    page = Page('title')
    page.table(['class', 'IoU', 'note'], [
        [Cell('road', colour=(1, 2, 3)), Cell('12.5%', 0.125, share=0.125), 'fine'],
        [Cell('car'), Cell('-', -1.0, is_bad=True), Cell('x', share=7.0)], ['sky', 3, 0.5]], left=(2, ))
    parsed = Parsed(page)
    cells = parsed.all('td')
    assert [text for *_, text in cells] == ['road', '12.5%', 'fine', 'car', '-', 'x', 'sky', '3', '0.5']
    assert [cell[1].get('data-value') for cell in cells] == [None, '0.125', None, None, '-1.0', None, None, '3', '0.5']
    assert cells[1][1] == {'class': 'bar', 'data-value': '0.125', 'style': '--share: 12.5%'}
    assert cells[4][1]['class'] == 'bad' and cells[5][1] == {'class': 'bar left', 'style': '--share: 100.0%'}
    assert [head[1].get('class') for head in parsed.all('th')] == [None, None, 'left']
    swatch, = parsed.all('span')
    assert swatch[1]['style'] == 'background: rgb(1, 2, 3)'
    assert not parsed.all('caption')


def test_tables_of_words():
    page = Page('title')
    page.table(['a'], [['x']], words=True)
    page.table(['a'], [])
    assert [tag[1].get('class') for tag in Parsed(page).all('table')] == ['words', None]


def decoded(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(',')[1]))))


def test_pictures():
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    flat = np.full((9, 9, 3), 90, np.uint8)
    page = Page('title')
    page.picture(picture)
    page.picture(b'<svg xmlns="http://www.w3.org/2000/svg"/>', kind='svg+xml')
    page.gallery([(flat, 'one', False), (flat, 'two', True)])
    parsed = Parsed(page)
    first, second, *others = (tag[1]['src'] for tag in parsed.all('img'))
    assert first.startswith('data:image/png;base64,') and (decoded(first) == picture).all()
    assert base64.b64decode(second.removeprefix('data:image/svg+xml;base64,')).startswith(b'<svg')
    for one in others:
        assert one.startswith('data:image/jpeg;base64,') and np.abs(decoded(one).astype(int) - 90).max() < 3
    assert [tag[1].get('class') for tag in parsed.all('figure')] == [None, None, None, 'bad']


@pytest.mark.parametrize('kind,start', [('png', b'\x89PNG'), ('jpeg', b'\xff\xd8')])
def test_encoded(kind, start):
    assert encoded(np.zeros((3, 3, 3), np.uint8), kind).startswith(start)
