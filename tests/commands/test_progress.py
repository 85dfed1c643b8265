"""What `Reporter` prints where the output is no terminal."""
import io

import pytest
from rich.console import Console

from mmseg_vittm.commands import progress


@pytest.mark.parametrize('step, lines', [
    (0.01, ['40/40 files, 0 s, ETA 0 s']),  # quick work: the end
    (0.25, ['8/40 files, 2 s, ETA 8 s', '16/40 files, 4 s, ETA 6 s', '24/40 files, 6 s, ETA 4 s',
            '32/40 files, 8 s, ETA 2 s', '40/40 files, 10 s, ETA 0 s']),  # no more often than every 2 s
    (3.0, ['1/40 files, 3 s, ETA 117 s', *(f'{n}/40 files, {3 * n} s, ETA {120 - 3 * n} s' for n in range(4, 41, 4))]),
])
def test_lines_of_a_log(monkeypatch, step, lines):
    now = [50.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
    text = io.StringIO()
    with progress.Reporter(Console(file=text, width=120), 'files') as report:
        for done in range(1, 41):
            now[0] += step
            report(done, 40, 'reading')
    assert text.getvalue().splitlines() == [f'reading: {line}' for line in lines]


def test_each_stage_says_that_it_ended():
    text = io.StringIO()
    with progress.Reporter(Console(file=text, width=120), 'files') as report:
        for what in ('reading', 'drawing'):
            for done in (1, 2):
                report(done, 2, what)
    assert text.getvalue().splitlines() == [f'{what}: 2/2 files, 0 s, ETA 0 s' for what in ('reading', 'drawing')]


def test_what_was_done_before_says_nothing_of_the_time_that_is_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
    text = io.StringIO()
    report = progress.Reporter(Console(file=text, width=120), 'iterations', before=900)
    now[0] += 3
    report(900, 1000, 'nothing yet')
    now[0] += 7
    report(920, 1000, 'training')
    assert text.getvalue() == 'training: 920/1000 iterations, 10 s, ETA 40 s\n'
