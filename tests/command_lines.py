"""Random command lines of the tools: options out of their own parsers, with values good and bad.

`python tests/command_lines.py RUNS SEED [TOOL ...]` runs so many of each tool, and prints what was wrong, by cause.
"""
import argparse
import random
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from attacked_box import copy_box, make_box
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from odd_values import ANY_PATH, BAD, GOOD, SPECIAL
from tiny_models import ROOT
from watched_runs import Done, faults, run, shell_command, signatures

TOOLS = ('autolabel.py', 'benchmark.py', 'check_dataset.py', 'complexity.py', 'convert_checkpoint.py',
         'draw_architecture.py', 'evaluate.py', 'infer.py', 'laboratory.py', 'new_dataset.py', 'plot.py', 'test.py',
         'train.py')
# Options that only appear with a wrong value, or not at all.
TAKES_MINUTES = {'compile', 'latency', 'paper', 'stages', 'tta'}
LONG_BY_RIGHT = {'images', 'warmup', 'repeat'}  # a great number is a long run, and no fault

# What a value stands for, by the destination or the metavar of its option; other options by their type.
KINDS = {'config': 'config', 'configs': 'config', 'checkpoint': 'weights', 'source': 'weights', 'pretrained': 'weights',
         'input': 'media', 'files': 'results', 'data_root': 'data', 'out': 'out', 'show_dir': 'out', 'work_dir': 'work',
         'json': 'file', 'output': 'file', 'target': 'target', 'device': 'device', 'cfg_options': 'setting',
         'opacity': 'fraction', 'plan': 'plan', 'only': 'pattern', 'NAME=DIR': 'named',
         'miou': 'miou', 'segmentor': 'segmentor', 'title': 'text', 'CONFIG': 'config', 'CHECKPOINT': 'weights',
         'IMAGES': 'own images', 'LABELS': 'labels', 'new_config': 'new config', 'NAMES': 'classes', 'LIST': 'list',
         'NUMBERS': 'labels of void',
         'warm_start': 'weights', 'DIR': 'out', 'FILE': 'file', 'N': 'number', 'PIXELS': 'number',
         'SECONDS': 'number',
         'int': 'number', 'positive': 'number', 'float': 'fraction'}
NOT_BESIDE = {'image_size': {'data_root'}, 'throughput': {'data_root', 'image_size'}, 'batch_size': {'config'},
              'device': {'config'}}
ENDINGS = {'config': '.py', 'plan': '.yaml', 'weights': '.pth', 'results': '.json', 'file': '.json',
           'target': '.safetensors', 'media': '.jpg', 'new config': '.py', 'list': '.txt'}
OUTPUTS = {'out', 'work', 'file', 'target', 'new config'}
PATHS = OUTPUTS | {'config', 'plan', 'weights', 'media', 'results', 'data', 'own images', 'labels', 'list'}


class _Seen(Exception):
    """A parser was about to read the command line."""


def parser_of(tool: str) -> argparse.ArgumentParser:
    """The parser that a tool makes."""
    own, argv = argparse.ArgumentParser.parse_args, sys.argv

    def stop(parser, *arguments, **keywords):
        raise _Seen(parser)
    argparse.ArgumentParser.parse_args, sys.argv = stop, [tool, 'x']
    try:
        names = runpy.run_path(str(ROOT / 'tools' / tool), run_name='tool')
        names.get('parse_args', names['main'])()
    except _Seen as seen:
        return seen.args[0]
    finally:
        argparse.ArgumentParser.parse_args, sys.argv = own, argv
    raise AssertionError(f'{tool} reads no command line')


def kind_of(action: argparse.Action, number: int = 0) -> str:
    """What the values of an option, or one of several, stand for."""
    names = [action.dest, *(action.metavar[number:] if isinstance(action.metavar, tuple) else [action.metavar]),
             getattr(action.type, '__name__', None)]
    return next((KINDS[name] for name in names if name in KINDS), 'text')


@dataclass(frozen=True)
class Line:
    """A command line.

    Attributes:
        tool: The tool.
        parts: Words that go together, such as an option with its values.
        outputs: Where it is told to write.
    """
    tool: str
    parts: tuple[tuple[str, ...], ...]
    outputs: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        return [word for part in self.parts for word in part]

    def __str__(self) -> str:
        return shell_command(self.tool, self.words)


def value(chance: random.Random, kind: str, bad: bool) -> str:
    """A value of a kind."""
    if not bad:
        return chance.choice(GOOD[kind])
    if kind not in PATHS:
        return chance.choice(BAD[kind])
    ending = ENDINGS.get(kind, '.mp4')
    special = [path.format(ending) for path in SPECIAL]
    named = [f'{path}{ending}' for path in ANY_PATH if path.isidentifier() or '\x1b' in path]
    return chance.choice(chance.choice([BAD[kind], BAD[kind] + special, ANY_PATH + named + special]))


def random_line(tool: str, parser: argparse.ArgumentParser, number: int) -> Line:
    """A command line of a tool, with no wrong value or a few.

    Args:
        tool: The tool.
        parser: Its parser.
        number: Which of all.
    """
    chance = random.Random(number)
    bad = chance.choice([0, 0.05, 0.1, 0.2, 0.4])
    parts, outputs, given = [], [], set()

    def spoilt() -> bool:
        return chance.random() < bad

    def one(action: argparse.Action, number: int = 0) -> str:
        kind = kind_of(action, number)
        if action.choices:
            return chance.choice(['foo', '', '\x1b[31m'] if spoilt() or action.dest in TAKES_MINUTES else
                                 sorted(map(str, action.choices)))
        wrong = spoilt()
        if kind == 'number' and wrong and action.dest in LONG_BY_RIGHT:
            return chance.choice([word for word in BAD[kind] if len(word) < 9])
        chosen = value(chance, kind, wrong)
        if kind in OUTPUTS:
            outputs.append(chosen)
        if kind == 'new config' and chosen.endswith('.py'):  # beside it is a folder of its name
            outputs.append(chosen.removesuffix('.py'))
        if kind == 'setting' and chosen.startswith('work_dir='):
            outputs.append(chosen.partition('=')[2])
        return chosen

    def some(action: argparse.Action) -> list[str]:
        if action.nargs in ('+', '*'):
            return [one(action) for _ in range(chance.choice([1, 1, 2, 3]))]
        if action.nargs == '?':
            return [one(action)] * (chance.random() < (0.5 if action.option_strings else 0.9))
        return [one(action, number) for number in range(action.nargs if isinstance(action.nargs, int) else 1)]

    for action in parser._actions:
        if action.dest == 'help' or action.dest in TAKES_MINUTES and (action.nargs == 0 or not spoilt()):
            continue
        if action.option_strings and (chance.random() > (0.97 if action.required else 0.2)
                                      or given & NOT_BESIDE.get(action.dest, set()) and not spoilt()):
            continue
        if not action.option_strings and spoilt() and spoilt():
            continue
        words = [] if action.nargs == 0 else some(action)
        given.add(action.dest)
        if action.option_strings:
            name = chance.choice(action.option_strings)
            words = [f'{name}={words[0]}'] if action.nargs == '?' and words else [name, *words]
        if words:
            parts.append(tuple(words))
    if spoilt() and spoilt():
        parts.append((chance.choice(['--foo', '--', '-x', '--out', '\x1b[31m', '--cfg-options']),))
    parts += [part for dest, part in SHORT.get(tool, {}).items() if dest not in given]
    return Line(tool, tuple(parts), (*outputs, *DEFAULT_OUTPUTS.get(tool, [])))


# Options without which a run would be long; defaults of where a tool writes.
SHORT = {'benchmark.py': {'images': ('--images', '1'), 'warmup': ('--warmup', '0')},
         'check_dataset.py': {'workers': ('--workers', '1')}, 'new_dataset.py': {'workers': ('--workers', '1')},
         'laboratory.py': {'stages': ('--stages', 'score', 'speed', 'report')}}
DEFAULT_OUTPUTS = {'train.py': ['work_dirs'], 'test.py': ['work_dirs'],
                   'laboratory.py': ['benchmarks', 'work_dirs'],
                   'draw_architecture.py': ['docs/architecture.svg']}


def try_line(box: Path, line: Line) -> tuple[list[str], Done]:
    """Runs a command line in a copy of a box; returns what was wrong, and the run."""
    folder = Path(tempfile.mkdtemp(dir=box.parent)) / 'box'
    folder.parent.chmod(0o755)
    try:
        copy_box(box, folder)
        before = signatures(folder)
        done = run(folder, line.tool, line.words)
        overwrites = '--overwrite' in line.words or line.tool == 'train.py'
        return faults(folder, before, done, line.tool, line.outputs, overwrites), done
    finally:
        subprocess.run(['chmod', '-R', 'u+w', folder.parent], check=True)
        shutil.rmtree(folder.parent)


def shortened(box: Path, line: Line, fault: str) -> Line:
    """Leaves out what a fault does not need."""
    for part in [*line.parts]:
        fewer = Line(line.tool, tuple(other for other in line.parts if other is not part), line.outputs)
        if cause(fault) in map(cause, try_line(box, fewer)[0]):
            line = fewer
    return line


def cause(fault: str) -> str:
    """A fault without what differs from run to run."""
    return re.sub(r"'[^']*'|\d{6,}", '…', fault)


def ready_box(folder: Path) -> Path:
    """Makes a box in a folder that everyone may enter."""
    folder.chmod(0o755)
    return make_box(folder / 'inputs')


def find_faults(box: Path, tool: str, runs: int, number: int | None = None) -> tuple[dict[str, list], Counter]:
    """Runs random command lines of a tool; returns those with faults, by cause, and how many ended with each status.

    Args:
        box: What `ready_box` made.
        tool: The tool.
        runs: How many.
        number: Which, as a seed; None for the same at every call.
    """
    found: dict[str, list] = defaultdict(list)
    ends: Counter = Counter()
    parser = parser_of(tool)

    @settings(max_examples=runs, derandomize=number is None, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**64 - 1))
    def look(which: int) -> None:
        line = random_line(tool, parser, which)
        wrong, done = try_line(box, line)
        ends[done.status] += 1
        for fault in wrong:
            found[cause(fault)].append((line, fault))
    (look if number is None else seed(number)(look))()
    return found, ends


def report(found: dict[str, list[tuple[Line, str]]], box: Path) -> str:
    """A text of faults by cause, each with one command that shows it, as short as can be."""
    parts = []
    for lines in sorted(found.values(), key=len, reverse=True):
        line, fault = min(lines, key=lambda entry: len(entry[0].words))
        parts.append(f'{len(lines)} x {line.tool}: {fault}\n    {shortened(box, line, fault)}')
    return '\n'.join(parts)


if __name__ == '__main__':
    import mmseg.datasets  # noqa: F401
    import mmseg.engine  # noqa: F401
    import mmseg.evaluation  # noqa: F401
    import mmseg.models  # noqa: F401
    import mmseg.visualization  # noqa: F401
    count, number, *tools = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        box = ready_box(Path(folder))
        for tool in tools or TOOLS:
            found, ends = find_faults(box, tool, int(count), int(number))
            sys.stdout.write(f'== {tool}, statuses {dict(ends)}\n{report(found, box)}\n')
            sys.stdout.flush()
