"""README.md and the pages of docs/, and their code blocks."""
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tiny_models import ROOT

PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', ROOT / 'CHANGELOG.md', ROOT / 'benchmarks' / 'README.md',
         *sorted((ROOT / 'docs').glob('*.md'))]
FENCE = re.compile(r'^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)
NO_RUN = ':class: no-run\n'


@dataclass
class Block:
    """A code block: its language, its text, the line where it begins, and whether the page says not to run it."""
    language: str
    text: str
    line: int
    runs: bool = True


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    found, content = [], page.read_text(encoding='utf-8')
    for fence in FENCE.finditer(content):
        kind, text, line = fence['kind'].strip(), fence['text'], content[:fence.start()].count('\n') + 2
        if not kind.startswith('{'):
            found.append(Block(kind, text, line))
        elif kind.startswith('{code-block}'):
            options, _, body = text.partition('\n\n')
            found.append(Block(kind.split()[-1], body, line, NO_RUN not in f'{options}\n'))
    return found


def name_of(page: Path) -> str:
    """A page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def command_lines(page: Path) -> list[list[str]]:
    """The words of every command in the bash blocks of a page."""
    text = '\n'.join(block.text for block in blocks(page) if block.language == 'bash').replace('\\\n', ' ')
    lines = [shlex.split(line, comments=True) for line in text.replace('&&', '\n').splitlines()]
    return [words for words in lines if words]


def written_by(page: Path) -> set[str]:
    """What a page's commands write: what `-o` names, and the same without its ending, a folder beside it."""
    outs = {out for words in command_lines(page) for flag, out in zip(words, words[1:], strict=False) if flag == '-o'}
    return outs | {out.rpartition('.')[0] for out in outs if '.' in out}
