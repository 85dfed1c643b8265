"""Tools run in forks that are watched: what they end with, print, change and leave, in bounded time and memory."""
import contextlib
import ctypes
import multiprocessing
import os
import re
import resource
import runpy
import shlex
import signal
import stat
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from tiny_models import ROOT

from mmseg_vittm.engine.work_dir.lock import LOCK

# Of a run, on a machine shared with others; none takes longer than a few on its own.
SECONDS = int(os.environ.get('MMSEG_VITTM_SECONDS', 120))
MEMORY = 4 << 30  # bytes of address space above what the parent has
FILE = 64 << 20  # bytes of a file
DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
NOBODY, READ_SEARCH = 65534, 2  # a user; the capability to read all, as Python's own files may lie in root's home


@dataclass
class Done:
    """A finished run."""
    status: int | None
    out: str
    err: str
    seconds: float
    left: bool  # whether processes of it lived on
    words: int = 0  # characters of the command line


# What tools print that end with status 1 because files are wrong.
FAULTS_FOUND = {'check_dataset.py': 'problems in', 'new_dataset.py': 'nothing was written'}


def run(box: Path, tool: str, arguments: Sequence[str]) -> Done:
    """Runs a tool in a folder, in a fork, as a user who may write nothing outside it."""
    logs = [box.parent / f'{box.name}.{name}' for name in ('out', 'err')]
    if os.geteuid() == 0:
        _give(box)
    process = multiprocessing.get_context('fork').Process(target=_inside, args=(box, tool, list(arguments), logs))
    started = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # of forks beside threads, which only sleep
        process.start()
    process.join(SECONDS)
    took, status = time.monotonic() - started, process.exitcode
    left = _end_group(process.pid, 0 if status is None else 1)
    process.join()
    out, err = (path.read_text(errors='surrogateescape') for path in logs)
    for path in logs:
        path.unlink()
    return Done(status, out, err, took, left and status is not None, sum(map(len, arguments)))


def _give(box: Path) -> None:
    for folder, _, files in os.walk(box):
        if os.lstat(folder).st_uid != NOBODY:
            os.chown(folder, NOBODY, NOBODY)
        for name in files:
            os.lchown(os.path.join(folder, name), NOBODY, NOBODY)


def _end_group(leader: int, grace: float) -> bool:
    """Kills what is left of a run's processes, after some seconds in which they may end; says whether there was any."""
    until = time.monotonic() + grace
    while time.monotonic() < until and _alive(leader):
        time.sleep(0.02)
    if not _alive(leader):
        return False
    os.killpg(leader, signal.SIGKILL)
    return True


def _alive(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return True


def _inside(box: Path, tool: str, arguments: list[str], logs: list[Path]) -> None:
    os.setsid()
    for number, log in enumerate(logs, 1):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout = open(1, 'w', closefd=False)  # noqa: SIM115  (for the rest of this process)
    sys.stderr = open(2, 'w', closefd=False, errors='backslashreplace')  # noqa: SIM115
    os.chdir(box)
    os.environ.update(HOME=str(box / 'home'), TMPDIR=str(box / 'tmp'))
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'PYTEST_CURRENT_TEST'):
        os.environ.pop(name, None)
    _become_nobody()
    ctypes.CDLL(None).prctl(DEATH_SIGNAL, signal.SIGKILL)  # a run that hangs ends with the tests
    used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE, FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    torch.set_num_threads(1)
    MMLogger._instance_dict.clear()  # the tests' own write elsewhere
    # Most of a short run's time goes into these, and nothing here depends on them.
    Config.pretty_text = property(lambda config: 'max_iters = 0')
    Runner._log_env = lambda runner, env_cfg: None
    warnings.simplefilter('default')
    sys.argv = [tool, *arguments]
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(sys.stderr.flush)
        at_the_end.callback(sys.stdout.flush)
        runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')


def _become_nobody() -> None:
    """Gives root's rights up, but for reading."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(1 << READ_SEARCH, 1 << READ_SEARCH)
    if libc.capset(header, data):
        raise OSError(ctypes.get_errno(), 'capset')


# --- what a run did ---

TEMPORARY = re.compile(r'\.part\b|\.tmp$|\.partial$')
RAW = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff]')


def signatures(box: Path) -> dict[str, tuple]:
    """What is in a folder, at any depth: kind, mode, and of files what no writing leaves as it was."""
    found = {}
    for folder, folders, files in os.walk(box):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            known = os.lstat(path)
            own = () if stat.S_ISDIR(known.st_mode) else (known.st_ino, known.st_size, known.st_mtime_ns)
            target = os.readlink(path) if stat.S_ISLNK(known.st_mode) else ''
            found[os.path.relpath(path, box)] = (known.st_mode, target, *own)
    return found


def faults(box: Path, before: dict[str, tuple], done: Done, tool: str, outputs: Sequence[str],
           overwrites: bool) -> list[str]:
    """What a run did wrong: how it ended, what it printed, what it changed, what it left.

    Args:
        box: The folder it ran in.
        before: `signatures` of the box.
        done: The run.
        tool: Its name.
        outputs: Where it was told to write, relative to the box.
        overwrites: Whether it may replace what is there.
    """
    return [*_wrong_ends(done, tool), *_wrong_changes(box, before, done, tool, outputs, overwrites)]


def _wrong_ends(done: Done, tool: str):
    both = done.out + done.err
    if done.status is None:
        yield 'hangs'
        return
    if done.status < 0:
        yield f'ends by signal {signal.Signals(-done.status).name}'
        return
    if 'Traceback (most recent call last)' in both:
        yield f'traceback: {_cause(both)}'
    elif done.status == 1 and FAULTS_FOUND.get(tool, '\0') in ' '.join(done.out.split()):
        pass
    elif done.status not in (0, 2):
        yield f'ends with status {done.status}'
    elif done.status == 2:
        lines = done.err.rstrip('\n').split('\n')
        errors = [line for line in lines if line.startswith('error: ')]
        if lines[0].startswith('usage: '):
            last = [number for number, line in enumerate(lines) if line.startswith(f'{tool}: error: ')]
            if last != [len(lines) - 1]:
                yield f'usage without one line of error at its end: {lines[-1][:200]!r}'
        elif len(errors) != 1 or lines[-1] != errors[0]:
            yield f'not one line of error at the end: {lines[-1][:200]!r}'
        if len(lines[-1]) > 2000 + 2 * done.words:
            yield f'an error of {len(lines[-1])} characters'
    raw = RAW.search(both)
    if raw:
        yield f'prints {raw[0]!r} raw, in {both[max(0, raw.start() - 60):raw.end() + 20]!r}'
    if done.left:
        yield 'leaves processes behind'


def _cause(text: str) -> str:
    """The last exception of a text, and where it came from."""
    lines = text[text.rindex('Traceback (most recent call last)'):].split('\n')
    places = [line for line in lines if line.startswith('  File ')]
    own = [line for line in places if str(ROOT) in line and '/tests/' not in line] or places
    place = re.sub(r'.*?([^/"]*/[^/"]*)", line (\d+), in (.*)', r'\1:\2 \3', own[-1]) if own else '?'
    error = next((line for line in lines[1:] if line and not line.startswith(' ')), '?')
    return f'{error[:220]} (at {place})'


def _wrong_changes(box: Path, before: dict[str, tuple], done: Done, tool: str, outputs: Sequence[str],
                   overwrites: bool):
    after = signatures(box)
    failed = done.status not in (0, 1)
    named = tuple(os.path.normpath(os.path.relpath(os.path.realpath(os.path.join(box, place)), os.path.realpath(box)))
                  for place in outputs if _short(place))

    def within(path: str) -> bool:
        return any(place == '.' or path == place or path.startswith(f'{place}/') for place in named)
    for path in sorted(before):
        if after.get(path) == before[path]:
            continue
        if os.path.basename(path) == LOCK and path in after:  # says who holds it, while somebody does
            continue
        word = 'changes' if path in after else 'removes'
        if failed:
            yield f'{word} {path!r} although it fails'
        elif not within(path) or not (overwrites or tool == 'test.py' and path.endswith('.py')):  # the config's copy
            yield f'{word} {path!r}' + ' unasked' * within(path)
    new = sorted(set(after) - set(before))
    if os.path.isdir(box / 'CODE_HAS_RUN'):
        yield 'runs code out of a file'
    for path in new:
        if path.startswith(('home/', 'CODE_HAS_RUN')):
            continue
        kind, is_folder = after[path], stat.S_ISDIR(after[path][0])
        above = any(place.startswith(f'{path}/') for place in named)
        if TEMPORARY.search(path) or path.startswith('tmp/'):
            yield f'leaves the temporary {path!r}'
        elif not (within(path) or above):
            yield f'leaves {path!r} outside of its outputs'
        elif failed and is_folder and not any(other.startswith(f'{path}/') for other in new):
            yield f'fails, and leaves the empty folder {path!r}'
        elif failed and not is_folder and stat.S_ISREG(kind[0]) and kind[3] == 0:
            yield f'fails, and leaves {path!r} of 0 bytes'
        elif failed and not is_folder and not _may_stay(tool, done):
            yield f'fails, and leaves {path!r}'


def _may_stay(tool: str, done: Done) -> bool:
    """Whether a failed run may leave files: one that had begun with its work, image by image."""
    began = {'train.py': 'Iter(train)', 'test.py': 'Load checkpoint from', 'infer.py': 'failed, see above'}
    return tool in began and began[tool] in done.out + done.err


def _short(place: str) -> bool:
    try:
        os.lstat(place)
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return bool(place)


def quoted(word: str) -> str:
    """A word for a shell, whatever bytes it has."""
    content = os.fsencode(word)
    if all(32 <= byte < 127 for byte in content):
        return shlex.quote(word)
    return "$'" + ''.join(chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f'\\x{byte:02x}'
                          for byte in content) + "'"


def shell_command(tool: str, arguments: Sequence[str]) -> str:
    """The command that repeats a run, in a box of its own."""
    words = ' '.join(map(quoted, arguments))
    return f'cd $(python {ROOT}/tests/attacked_box.py $(mktemp -d)/box) && python {ROOT}/tools/{tool} {words}'
