"""Links, names of files and tests, and figures of README.md and docs/."""
import re
import sys
import urllib.parse

import pytest
from docs_pages import FENCE, PAGES, name_of, written_by
from tiny_models import ROOT

LINK = re.compile(r'\]\(([^()\s]+(?:\([^()]*\)[^()\s]*)?)\)')
QUOTED = re.compile(r'`([^`\n]+)`')
HOSTS = {'github.com', 'drive.google.com', 'data.csail.mit.edu', 'pypi.org', 'keepachangelog.com', 'semver.org'}
ROOMS = ('mmseg_vittm/', 'configs/', 'tools/', 'benchmarks/', 'docs/', 'tests/')


def prose(page) -> str:
    """A page without its code blocks."""
    return FENCE.sub('', page.read_text(encoding='utf-8'))


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_links(page):
    """Files are there; addresses, which nothing here can reach, are well formed and of hosts we know."""
    for link in LINK.findall(prose(page)):
        address = urllib.parse.urlsplit(link)
        if address.scheme:
            assert address.scheme in ('http', 'https') and address.hostname in HOSTS, f'{name_of(page)}: {link}'
        elif address.path:
            assert (page.parent / address.path).exists(), f'{name_of(page)}: {link}'


@pytest.mark.parametrize('page', [page for page in PAGES if page.name != 'CHANGELOG.md'], ids=name_of)
def test_files_that_are_named_are_there(page):
    """Quoted paths of the repository exist; the changelog, which speaks of what is gone, is left out.

    So are tests, which the page on reliability names without `tests/`: `test_named_tests_are_there` looks at them.
    """
    written = tuple(written_by(page))
    for word in QUOTED.findall(prose(page)):
        path = word.split('::')[0].split()[0]
        if written and path.startswith(written):
            continue
        if path.startswith(ROOMS) and not set(path) & set('*{<') and not path.startswith('tools/test_'):
            assert (ROOT / path).exists(), f'{name_of(page)}: {word}'


def test_named_tests_are_there():
    """The page on reliability names tests as `FILE` or `FILE::TEST`, a `*` at the end for several."""
    named = [word.partition('::') for word in QUOTED.findall((ROOT / 'docs' / 'reliability.md').read_text())
             if 'test_' in word and '.py' in word]
    assert len(named) > 25
    for file, _, test in named:
        path = ROOT / 'tests' / file
        assert path.is_file(), file
        more = r'\w*' if test.endswith('*') else ''
        pattern = rf'^def {re.escape(test.rstrip("*"))}{more}\('
        assert not test or re.search(pattern, path.read_text(encoding='utf-8'), re.MULTILINE), f'{file}::{test}'


def test_the_readme_is_short():
    assert len((ROOT / 'README.md').read_text(encoding='utf-8').splitlines()) <= 120


def test_every_page_is_in_the_index():
    index = (ROOT / 'docs' / 'index.md').read_text(encoding='utf-8')
    listed = re.findall(r'^[a-z_0-9/]+$', index, re.MULTILINE)
    assert sorted(listed) == sorted([*(path.stem for path in (ROOT / 'docs').glob('*.md') if path.stem != 'index'),
                                     'api/index'])


def test_figures_are_those_that_the_script_draws(monkeypatch):
    monkeypatch.setattr(sys, 'path', [str(ROOT / 'docs'), str(ROOT / 'tools'), *sys.path])
    import figures
    folder = ROOT / 'docs' / 'figures'
    others = {'ttm_cost', 'video_strip', 'warm_start'}  # which their own commands draw
    assert {path.stem for path in folder.iterdir()} == {*figures.FIGURES, *others}
    for name in figures.FIGURES:
        assert (folder / f'{name}.svg').read_text(encoding='utf-8') == figures.figure(name), \
            f'{name}.svg: run python docs/figures.py'
