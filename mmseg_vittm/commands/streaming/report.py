"""What a stream's run says: a line while it goes on, a summary at its end, and a report as JSON."""
import json
import logging
import sys
import time
from datetime import datetime, timezone

import torch
from mmengine.logging import MMLogger
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ...errors import shown
from ...measure.conditions import describe_machine
from ...measure.records import number
from ...outputs import write_whole
from .results import StreamResults
from .segments import Segments
from .speed import Speed
from .stages import Reading

OFTEN, SELDOM = 0.25, 60.0  # seconds between two states of the line on a terminal, and two lines in a log
UNDER_WAY = 'under way'


class StreamReport:
    """Counts and speed of a run, as JSON, a summary and a line of progress.

    Args:
        results: Where the JSON goes.
        reading: Reads the frames; its source is open.
        segments: Are written.
        speed: Knows the frames that were segmented.
        device: Where the model is.
        settings: Of the run, for the JSON, such as `dict(dtype='bf16')`.

    Attributes:
        scene_cuts: Frames with which a model that remembers began anew, because they show another scene.
    """

    def __init__(self, results: StreamResults, reading: Reading, segments: Segments, speed: Speed,
                 device: torch.device, settings: dict):
        self._path, self._reading, self._segments, self.speed = results.report, reading, segments, speed
        self._device, self._settings, self.scene_cuts = device, settings, 0
        self._started = datetime.now(timezone.utc).isoformat(timespec='seconds')

    @property
    def done(self) -> int:
        """How many of the source's frames are done: segmented, or dropped."""
        return self.speed.latency.count + self._reading.queue.dropped

    def record(self, ended: str = UNDER_WAY) -> dict:
        """Returns what the JSON says.

        Args:
            ended: How the run ended.
        """
        source, queue, wait = self._reading.source, self._reading.queue, self.speed.latency
        return dict(
            source=source.shown, started=self._started, ended=ended, frames_expected=source.count or None,
            frames_read=queue.taken_in, frames_segmented=wait.count, frames_dropped=queue.dropped,
            reconnects=source.reconnects, scene_cuts=self.scene_cuts, segments=self._segments.closed,
            seconds=_rounded(self.speed.seconds), fps=_rounded(self.speed.fps),
            latency_ms_p50=_rounded(wait.quantile(0.5), 1000), latency_ms_p95=_rounded(wait.quantile(0.95), 1000),
            **self._settings, device=str(self._device), machine=describe_machine(self._device))

    def write(self, ended: str = UNDER_WAY) -> None:
        """Writes the JSON, whole.

        Raises:
            OutputError: It cannot be written.
        """
        write_whole(self._path, json.dumps(self.record(ended), indent=1) + '\n')

    def summary(self) -> str:
        """Returns what was done, in a line."""
        now = self.record()
        left = now['frames_read'] - now['frames_segmented'] - now['frames_dropped']
        counts = [f'{now["frames_read"]} frames read', f'{now["frames_segmented"]} segmented',
                  *([f'{now["frames_dropped"]} dropped'] if now['frames_dropped'] else []),
                  *([f'{left} left out'] if left > 0 else []),
                  *([f'{now["reconnects"]} reconnections'] if now['reconnects'] else []),
                  *([f'{now["scene_cuts"]} scene cuts'] if now['scene_cuts'] else [])]
        return (f'{now["source"]}: {", ".join(counts)}; {number(now["fps"])} FPS; latency p50 '
                f'{number(now["latency_ms_p50"])} ms, p95 {number(now["latency_ms_p95"])} ms')

    def pace(self) -> str:
        """Returns how fast the last frames were, in a few words; nothing before there are two."""
        found, dropped = self.speed.of_late(), self._reading.queue.dropped
        if found is None:
            return ''
        fps, median, most = found
        return (f'{number(fps)} FPS, p50 {number(1000 * median)} ms, p95 {number(1000 * most)} ms'
                + f', {dropped} dropped' * bool(dropped))


def _rounded(value: float | None, factor: float = 1) -> float | None:
    return value if value is None else float(f'{value * factor:.4g}')


class ProgressLine:
    """How far a stream is and how fast: a line on a terminal that changes; in a log, a line a minute.

    Used as a context manager around the work, it is called after every frame.

    Args:
        name: The stream's name.
        count: How many frames it has, about; 0 where unknown.
        report: Says the rest.
        console: Where to print.
    """

    def __init__(self, name: str, count: int, report: StreamReport, console: Console):
        self._name, self._count, self._report, self._console = shown(name)[-30:], count, report, console
        self._next = time.monotonic() + (OFTEN if console.is_terminal else SELDOM)
        until = [TextColumn('ETA'), TimeRemainingColumn()] if count else []
        bar = [BarColumn(bar_width=16)] if count else []
        columns = (TextColumn('{task.description}', markup=False), *bar, TextColumn('{task.fields[frames]}'),
                   TimeElapsedColumn(), *until, TextColumn('{task.fields[pace]}'))
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(self._name, total=count or None, frames='', pace='')

    def __enter__(self) -> 'ProgressLine':
        self._bar.__enter__()
        # Lines of the log go above the bar, not into it; `sys.stdout` is rich's here.
        self._streams = {handler: handler.setStream(sys.stdout) for handler in MMLogger.get_current_instance().handlers
                         if type(handler) is logging.StreamHandler and self._console.is_terminal}
        return self

    def __exit__(self, *error) -> None:
        self._show()
        for handler, stream in self._streams.items():
            if stream is not None:
                handler.setStream(stream)
        self._bar.__exit__(*error)

    def __call__(self) -> None:
        """Shows how far it is, now and then."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (OFTEN if self._console.is_terminal else SELDOM)
        self._show()
        if not self._console.is_terminal:
            self._console.print(f'{self._name}: {self._frames()} frames, {self._report.pace()}', highlight=False)

    def _frames(self) -> str:
        return f'{self._report.done}/{self._count}' if self._count else f'{self._report.done}'

    def _show(self) -> None:
        self._bar.update(self._task, completed=self._report.done, frames=self._frames(), pace=self._report.pace())
