"""What reaches the terminal: no control characters, by whichever way; and what happens when nobody reads it."""
import argparse
import io
import logging
import os
import subprocess
import sys

import pytest
from bad_files import splits_config, write_set
from mmengine.logging import MMLogger
from rich.table import Table
from tool_runs import environment, tool_command

from mmseg_vittm.commands.options import run
from mmseg_vittm.commands.progress import open_console
from mmseg_vittm.commands.terminal import Screen, screens
from mmseg_vittm.errors import InputError, printable

EVIL = os.fsdecode(b'a\x1b]0;x\x07b\r\xff\xc2\x9b1m') + '\u202egpj\u200b\u2028.png'
SHOWN = r'a\x1b]0;x\x07b\r\xff\x9b1m\u202egpj\u200b\u2028.png'


def test_names_stay_recognisable():
    assert printable(EVIL) == SHOWN
    for name in ('scène 東京\u3000été.jpg', 'a b', '🙂.png', '\u00a0'):
        assert printable(name) == name
    assert printable('a\nb\tc\n') == r'a\nb\tc\n' and printable('a\nb\tc', '\n\t') == 'a\nb\tc'
    assert printable('\ud800\U000e0041') == r'\ud800\U000e0041'


def by_error():
    raise InputError(f'{EVIL}: no such file')


def by_log():
    logger = MMLogger(f'screens{id(object())}')
    logger.warning(f'{EVIL} is bad')
    logging.getLogger('other').error('%s is bad', EVIL)


def by_console():
    table = Table('file')
    table.add_row(EVIL)
    console = open_console()
    console.print(table)
    console.print(EVIL, markup=False)


def by_print():
    print(EVIL)
    print(EVIL, file=sys.stderr)


def by_arguments():
    argparse.ArgumentParser('tool').parse_args([EVIL])


@pytest.mark.parametrize('way', [by_error, by_log, by_console, by_print, by_arguments])
def test_nothing_steers_the_terminal(way, capfd):
    try:
        run(way)
    except SystemExit as stop:
        assert stop.code == 2
    said = ''.join(capfd.readouterr())
    assert SHOWN in said and EVIL not in said
    assert not any(character in said for character in '\x1b\x07\r\x9b\u202e\u200b\u2028')


def test_colours_stay_on_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True
    terminal = Terminal()
    Screen(terminal).write('\x1b[33mWARNING\x1b[0m a\x1b[2Jb\n')
    assert terminal.getvalue() == '\x1b[33mWARNING\x1b[0m a\\x1b[2Jb\n'
    assert Screen(terminal).rich_proxied_file is terminal and not hasattr(Screen(io.StringIO()), 'rich_proxied_file')


def test_bars_of_progress_grow_in_place():
    class Terminal(io.StringIO):
        def isatty(self):
            return True
    for stream, up in ((Terminal(), '\x1b[A\x1b[K'), (io.StringIO(), '\\x1b[A\\x1b[K')):
        screen = Screen(stream)
        for text in ('\r 10%', '\r 20%', '\n', '\x1b[A\x1b[K', 'done\r\n', 'a\rb\x1b[2J', '\x1b[4mINFO\x1b[0m'):
            screen.write(text)
        assert stream.getvalue() == f'\r 10%\r 20%\n{up}done\r\na\\rb\\x1b[2J\x1b[4mINFO\x1b[0m'


def test_words_of_the_command_line_have_no_colours_either(capfd):
    with pytest.raises(SystemExit):
        run(lambda: argparse.ArgumentParser('tool').parse_args(['\x1b[31mred']))
    assert capfd.readouterr().err.endswith('unrecognized arguments: \\x1b[31mred\n')


def test_streams_and_logs_are_as_before_afterwards():
    before = sys.stdout, sys.stderr, logging.getLogRecordFactory()
    with pytest.raises(KeyError), screens():
        assert isinstance(sys.stdout, Screen)
        raise KeyError
    assert (sys.stdout, sys.stderr, logging.getLogRecordFactory()) == before


def in_a_fork(main, out: int) -> tuple[int, str]:
    """The exit status and stderr of a tool whose standard output is a descriptor."""
    errors, into = os.pipe()
    child = os.fork()
    if child == 0:
        status = 70
        try:
            os.dup2(out, 1)
            os.dup2(into, 2)
            sys.stdout, sys.stderr = open(1, 'w', closefd=False), open(2, 'w', closefd=False)  # noqa: SIM115
            run(main)
            status = 0
        except SystemExit as stop:
            status = stop.code
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    os.close(into)
    with open(errors) as file:
        said = file.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def lines_for_ever():
    console = open_console()
    while True:
        console.print('a line')


def a_log():
    for _ in range(3):
        MMLogger(f'log{id(object())}').info('a line')


def a_print():
    print('a line')


@pytest.mark.parametrize(('main', 'status'), [(lines_for_ever, 141), (a_log, 0), (a_print, 0)])
def test_nobody_reads_any_more(main, status):
    """A tool that prints ends as SIGPIPE ends a command; work that only logs goes on, both without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert in_a_fork(main, writer) == (status, '')
    finally:
        os.close(writer)


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='needs /dev/full')
@pytest.mark.parametrize('main', [lines_for_ever, a_log, a_print])
def test_output_to_a_full_disk(main):
    with open('/dev/full', 'w') as full:
        status, said = in_a_fork(main, full.fileno())
    assert status == 2 and said.startswith('error: standard output: cannot be written (No space left on device); make')
    assert said.count('\n') == 1


def test_check_dataset_into_head(tmp_path):
    """The whole command line, as in a shell."""
    (tmp_path / 'set.py').write_text(splits_config(write_set(tmp_path / 'set')).dump())
    command = tool_command('check_dataset.py', tmp_path / 'set.py', '--workers', '1')
    done = subprocess.run(['bash', '-c', '"$@" | head -n 1; exit ${PIPESTATUS[0]}', 'x', *command], text=True,
                          capture_output=True, env=environment(), timeout=300)
    assert done.returncode == 141 and done.stderr == '' and len(done.stdout.splitlines()) == 1, done
