"""The runs of a laboratory trained, a few at a time, each by `tools/train.py` in a process of its own."""
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from ...engine.processes.stop_signals import StopSignals, stop_signals
from ...engine.work_dir.lock import hold
from ...errors import InputError, TrainingStopped, printable
from ...outputs import make_folder
from ..progress import Reporter
from .curves import newest_step
from .laboratory import Laboratory
from .plan import Run

STEP, LOOK = 0.2, 3.0  # seconds between looks at processes, and at what they logged
LAST_LINES, LAST_BYTES = 6, 4096  # of the log of a run that failed


def to_train(laboratory: Laboratory, runs: Iterable[Run]) -> list[Run]:
    """Returns the runs that are not done, each after those that it needs, which come unasked.

    Raises:
        InputError: The folder of a run holds one that was trained with other settings.
    """
    found: list[Run] = []

    def add(run: Run) -> None:
        if run in found or laboratory.is_done(run):
            return
        for needed in laboratory.plan.needs(run):
            add(needed)
        found.append(run)
    for run in runs:
        add(run)
    return found


class Training:
    """Trains runs, and tells how far they are.

    Args:
        laboratory: The laboratory.
        runs: What to train, of `to_train`.
        tool: The file of `tools/train.py`.
        jobs: How many at a time; where it is more than one, each on one thread.
        console: Where to print.

    Attributes:
        failures: Runs that failed, and why.
    """

    def __init__(self, laboratory: Laboratory, runs: list[Run], tool: Path, jobs: int, console: Console):
        self.laboratory, self.tool, self.jobs, self.console = laboratory, tool, jobs, console
        self.waiting = list(runs)
        self.under_way: dict[Run, subprocess.Popen] = {}
        self.failures: dict[Run, str] = {}
        self._started: dict[Run, float] = {}
        self._done = {run: laboratory.done_iterations(run) for run in runs}
        self._total = sum(laboratory.iterations(run) for run in runs)

    def run(self) -> None:
        """Trains all runs; one that fails does not stop the others.

        Raises:
            TrainingStopped: A signal came: the runs under way were stopped, and have saved themselves.
        """
        with stop_signals() as signals, Reporter(self.console, 'iterations', sum(self._done.values())) as report:
            signals.deferred = True  # the runs are what is saved
            looked = 0.0
            try:
                while self.waiting or self.under_way:
                    if signals.requested is not None:
                        self._stop(signals)
                    if time.monotonic() - looked > LOOK or not self.under_way:
                        looked = time.monotonic()
                        self._start()
                        self._look(report)
                    time.sleep(STEP)
                    for run in [run for run, process in self.under_way.items() if process.poll() is not None]:
                        self._finish(run, self.under_way.pop(run).returncode)
                        looked = 0.0
                self._look(report)
            finally:
                self._end()

    def _start(self) -> None:
        for run in list(self.waiting):
            if len(self.under_way) >= self.jobs:
                return
            failed = [needed for needed in self.laboratory.plan.needs(run) if needed in self.failures]
            if failed:
                self.waiting.remove(run)
                self._fail(run, f'needs {failed[0]}, which failed')
            elif not any(needed in self.waiting or needed in self.under_way
                         for needed in self.laboratory.plan.needs(run)) and not self._is_held(run):
                self.waiting.remove(run)
                if not self.laboratory.is_done(run):  # another process may have trained it meanwhile
                    self._begin(run)

    def _is_held(self, run: Run) -> bool:
        """Whether another training is under way in a run's folder, as of a laboratory that was killed."""
        folder = self.laboratory.folder(run)
        if not folder.is_dir():
            return False
        try:
            with hold([folder]):
                return False
        except InputError:
            return True

    def _begin(self, run: Run) -> None:
        for one in (run, *self.laboratory.plan.needs(run)):  # a teacher's is read, whatever command trained it
            self.laboratory.write_config(one)
        self.laboratory.note_sources(run)
        make_folder(self.laboratory.folder(run).parent)
        environment = os.environ | ({'OMP_NUM_THREADS': '1'} if self.jobs > 1 else {})
        with open(self._log(run), 'ab') as log:
            self.under_way[run] = subprocess.Popen(
                [sys.executable, str(self.tool), *self.laboratory.words(run)], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, env=environment, start_new_session=True)
        self._started[run] = time.monotonic()

    def _finish(self, run: Run, status: int) -> None:
        if status == 0 and self.laboratory.is_done(run):
            self._done[run] = self.laboratory.iterations(run)
            minutes = (time.monotonic() - self._started[run]) / 60
            self.console.print(f'{run}: trained, {self._done[run]} iterations, {minutes:.1f} minutes now',
                               highlight=False)
            return
        self._fail(run, f'status {status}; the end of {self._log(run)}:', self._last_lines(run))

    def _fail(self, run: Run, reason: str, lines: list[str] = ()) -> None:
        self.failures[run] = reason
        self._total -= self.laboratory.iterations(run) - self._done[run]
        self.console.print(f'{run}: failed: {reason}', highlight=False, markup=False)
        for line in lines:
            self.console.print(f'  {line}', highlight=False, markup=False)

    def _log(self, run: Run) -> Path:
        folder = self.laboratory.folder(run)
        return folder.with_name(f'{folder.name}.log')

    def _last_lines(self, run: Run) -> list[str]:
        text = self._log(run).read_bytes()[-LAST_BYTES:].decode(errors='replace')
        return [printable(line) for line in text.splitlines() if line.strip()][-LAST_LINES:]

    def _look(self, report: Reporter) -> None:
        for run in self.under_way:
            self._done[run] = max(self._done[run], newest_step(self.laboratory.folder(run)))
        what = 'waiting for other trainings' if self.waiting else 'trained'
        if self._total:
            report(min(sum(self._done.values()), self._total), self._total,
                   ', '.join(map(str, self.under_way)) or what)

    def _stop(self, signals: StopSignals) -> None:
        self._end()
        raise TrainingStopped(f'{signals.requested.name}: what was under way is saved and goes on by the same command')

    def _end(self) -> None:
        """Has the runs under way save themselves, and waits for them."""
        for process in self.under_way.values():
            process.terminate()
        for process in self.under_way.values():
            process.wait()
        self.under_way.clear()
