"""Progress of long measurements: a bar with an ETA, or lines of a log."""
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from .terminal import Screened

SECONDS = 2.0


def bar_columns() -> tuple[ProgressColumn, ...]:
    """Returns the columns of a bar with an ETA; what it describes may be a file's name."""
    return (TextColumn('{task.description}', markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn('ETA'), TimeRemainingColumn())


def open_console() -> Console:
    """Returns the console to print tables on: as wide as the terminal, 120 columns in a log."""
    console = Screened()
    if not console.is_terminal:
        console.width = 120
    return console


class Reporter:
    """A progress bar with an ETA; where the output is no terminal, a line at every tenth of the way.

    Of quick work only the last of these lines is printed: there are `SECONDS` between two of them.

    Used as a context manager around the work, it is called after every step.

    Args:
        console: Where to print.
        unit: What a step is, in the plural.
        before: Steps that were done before, which say nothing of how long one takes.
    """

    def __init__(self, console: Console, unit: str, before: int = 0):
        self.console, self.unit, self.start, self.tenth = console, unit, time.monotonic(), -1
        self.before = self.done = before
        self.said = self.start
        self.bar = Progress(*bar_columns(), console=console, disable=not console.is_terminal)
        self.task = self.bar.add_task('', total=None, completed=before)

    def __enter__(self) -> 'Reporter':
        self.bar.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self.bar.__exit__(*error)

    def __call__(self, done: int, total: int, what: str) -> None:
        """Shows that `done` of `total` steps are done, and what goes on; fewer than before begin something new."""
        if done < self.done:
            self.start, self.tenth, self.before = time.monotonic(), -1, 0
            self.said = self.start
        self.done = done
        self.bar.update(self.task, completed=done, total=total, description=what)
        now = time.monotonic()
        is_due = 10 * done // total > self.tenth and (done == total or now - self.said >= SECONDS)
        if not self.console.is_terminal and done > self.before and is_due:
            self.tenth, self.said = 10 * done // total, now
            seconds = now - self.start
            self.console.print(f'{what}: {done}/{total} {self.unit}, {seconds:.0f} s, '
                               f'ETA {seconds / (done - self.before) * (total - done):.0f} s', highlight=False)
