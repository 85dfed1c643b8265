"""Random command lines of every tool: each does what it says, or ends with one line and leaves all as it was.

`MMSEG_VITTM_COMMAND_LINES=2000 pytest -s tests/tools/test_any_command_line.py` runs so many instead of fifty;
`MMSEG_VITTM_SEED=3` others. What fails is printed as shell commands that repeat it.
"""
import os
import tempfile
from pathlib import Path

import mmseg.datasets  # noqa: F401  (what tools import when they run: once, before the forks)
import mmseg.engine  # noqa: F401
import mmseg.evaluation  # noqa: F401
import mmseg.models  # noqa: F401
import mmseg.visualization  # noqa: F401
import pytest
from command_lines import TOOLS, Line, find_faults, kind_of, parser_of, ready_box, report, try_line
from watched_runs import Done, faults, quoted, signatures

RUNS = int(os.environ.get('MMSEG_VITTM_COMMAND_LINES', 54))
SEED = os.environ.get('MMSEG_VITTM_SEED')


@pytest.fixture(scope='module')
def box():
    """The folder of inputs; not pytest's own, which only its user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        yield ready_box(Path(folder))


@pytest.mark.parametrize('tool', TOOLS)
def test_any_command_line(box, tool):
    found, ends = find_faults(box, tool, -(-RUNS // len(TOOLS)), SEED and int(SEED))
    print(f'{tool}: runs by status {dict(ends)}')
    assert not found, report(found, box)


@pytest.mark.parametrize('tool', TOOLS)
def test_every_option_has_values(tool):
    parser = parser_of(tool)
    for action in parser._actions:
        assert action.dest == 'help' or action.nargs == 0 or action.choices or kind_of(action), action
    assert len(parser._actions) > 1


def test_good_lines_end_well(box):
    for line in (Line('infer.py', (('configs/tiny.py', 'work/iter_2.pth', 'images/a.jpg', '-o', 'new'),), ('new',)),
                 Line('convert_checkpoint.py', (('work/iter_2.pth', 'new.safetensors'),), ('new.safetensors',)),
                 Line('check_dataset.py', (('configs/tiny.py', '--workers', '1'),), ())):
        wrong, done = try_line(box, line)
        assert not wrong and done.status == 0, (wrong, done)


def judged(folder: Path, status: int | None = 2, out: str = '', err: str = 'error: x\n', change=None,
           tool: str = 'plot.py', overwrites: bool = False) -> list[str]:
    """The faults of a run that changed something in a small folder, and was to write to `new`."""
    (folder / 'old').mkdir(parents=True)
    (folder / 'old' / 'file').write_text('content')
    before = signatures(folder)
    if change:
        change(folder)
    return faults(folder, before, Done(status, out, err, 1.0, False), tool, ['new'], overwrites)


TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 3, in f\nKeyError: 3\n'


@pytest.mark.parametrize(('what', 'fault'), [
    (dict(), None), (dict(status=0, err=''), None),
    (dict(err='usage: plot.py [-h]\nplot.py: error: no\n'), None), (dict(err='warning\nerror: x\n'), None),
    (dict(status=1, err='', out='3 problems in 4 files', tool='check_dataset.py'), None),
    (dict(status=0, change=lambda box: (box / 'new').write_text('x')), None),
    (dict(status=None), 'hangs'), (dict(status=-11), 'SIGSEGV'), (dict(status=1), 'status 1'),
    (dict(status=137), '137'),
    (dict(err=TRACEBACK, status=1), 'KeyError: 3'), (dict(err=TRACEBACK + 'error: x\n'), 'traceback'),
    (dict(err=''), 'not one line'), (dict(err='error: a\nerror: b\n'), 'not one line'),
    (dict(err='error: a\nmore\n'), 'not one line'), (dict(err='error: \x1b[31m\n'), 'raw'),
    (dict(err=f'error: {"x" * 9999}\n'), 'characters'), (dict(err='usage: x\nmore\n'), 'usage'),
    (dict(status=0, out='\u202e'), 'raw'),
    (dict(change=lambda box: (box / 'old' / 'file').write_text('other')), "changes 'old/file' although it fails"),
    (dict(status=0, change=lambda box: (box / 'old' / 'file').unlink()), "removes 'old/file'"),
    (dict(status=0, change=lambda box: (box / 'old' / 'file').chmod(0)), "changes 'old/file'"),
    (dict(change=lambda box: (box / 'new').mkdir()), 'empty folder'),
    (dict(change=lambda box: (box / 'new').touch()), '0 bytes'),
    (dict(change=lambda box: (box / 'new').write_text('x')), "leaves 'new'"),
    (dict(status=0, change=lambda box: (box / 'other').touch()), 'outside of its outputs'),
    (dict(status=0, change=lambda box: (box / '.new.1.part.png').touch()), 'temporary')])
def test_what_counts_as_a_fault(tmp_path, what, fault):
    found = judged(tmp_path / 'box', **what)
    assert not found if fault is None else len(found) == 1 and fault in found[0], found


def test_commands_can_be_repeated():
    assert quoted('a b') == "'a b'" and quoted(os.fsdecode(b"\x1b\xff'")) == r"$'\x1b\xff\x27'"
