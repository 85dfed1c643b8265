"""Streaming: a video, a camera or an address segmented as its frames come."""
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.logging import MMLogger
from torch import nn

from ...errors import InputError, OutputError
from ...inference.prediction import Prediction
from ...inference.predictor import Predictor
from ..progress import open_console
from ..segmenting.videos import require_av
from .clock import Clock
from .live import LiveSource
from .places import Place, find_place
from .queues import POLL
from .report import ProgressLine, StreamReport
from .results import StreamResults
from .segments import Segments
from .sources import FileSource, Source
from .speed import Speed
from .stages import Reading, Writing, segment_frames
from .stopping import Stop, gentle_end

LIVE_SEGMENT = 600.0  # seconds
LONGEST = 7 * 24 * 3600.0  # seconds of anything that is asked for


@dataclass(frozen=True)
class StreamOptions:
    """How a stream is segmented.

    Attributes:
        realtime: Drop frames that are late; a file is played at its own pace.
        segment: Seconds of video per overlay and folder of labels; 0 is one for all, None that for what has an end
            and `LIVE_SEGMENT` for what has none.
        timeout: Seconds that opening a camera or an address, and waiting for its next frame, may take.
        reconnect: Seconds in which it must be back where it goes away; 0 takes its end for the end.
        camera_mode: `WIDTHxHEIGHT[@RATE][,FORMAT]` of a camera; None is its own choice.
        overlay: Write overlays.
        labels: Write labels.
        opacity: Weight of the labels' colours in overlays, 0 to 1.
        overwrite: Replace results of an earlier run.
    """
    realtime: bool = False
    segment: float | None = None
    timeout: float = 10.0
    reconnect: float = 60.0
    camera_mode: str | None = None
    overlay: bool = True
    labels: bool = True
    opacity: float = 0.5
    overwrite: bool = False

    def __post_init__(self):
        for name, least in (('timeout', 0.1), ('reconnect', 0)):
            if not least <= (value := getattr(self, name)) <= LONGEST:
                raise InputError(f'{name} must be from {least} to {LONGEST:.0f} seconds, got {value}')
        if self.segment is not None and not (self.segment == 0 or 1 <= self.segment <= LONGEST):
            raise InputError(f'segment must be 0, for none, or from 1 to {LONGEST:.0f} seconds, got {self.segment}')
        if not 0 <= self.opacity <= 1:
            raise InputError(f'opacity must be from 0 to 1, got {self.opacity}')


@dataclass
class StreamPlan:
    """A stream that is to be segmented, and where results go: all checked that can be without opening it.

    Attributes:
        place: Where frames come from.
        results: Where results go.
        options: How.
    """
    place: Place
    results: StreamResults
    options: StreamOptions = field(default_factory=StreamOptions)


def plan_stream(text: str, out: str, options: StreamOptions, others: Iterable[str | Path] = ()) -> StreamPlan:
    """Checks what a stream is and that results can be written; writes nothing.

    Args:
        text: A video file, a camera or an address; see `find_place`.
        out: The folder of the results; see `StreamResults`.
        options: How it is segmented.
        others: Files that are read besides, which no result may replace, such as the checkpoint.

    Raises:
        InputError: There is no such file or camera, or a result is there already or in an input's place.
        OutputError: Results cannot be written.
    """
    require_av()
    place = find_place(text, options.camera_mode)
    results = StreamResults(out, place.name, options.overlay, options.labels, options.overwrite)
    results.check(Path(place.target) if place.kind == 'file' else None, others)
    return StreamPlan(place, results, options)


def stream_planned(model: nn.Module, plan: StreamPlan, dtype: str = 'fp32') -> None:
    """Segments a stream to its end, with a line of progress, a summary and a report.

    A first SIGINT, SIGTERM or SIGHUP ends it in good order, a second one at once; see `gentle_end`.

    Args:
        model: A segmentor of `mmseg_vittm.load_model`; one that remembers does so from frame to frame.
        plan: What `plan_stream` found.
        dtype: What it computes in, for the report.

    Raises:
        InputError: The source cannot be opened, or was gone for too long, or a frame cannot be segmented; what came
            before is written.
        OutputError: A result cannot be written; segments before are.
    """
    predictor, clock = Predictor(model, batch_size=1), Clock()
    with gentle_end() as stop:
        reading = open_source(_source(plan, clock), clock, plan.options.realtime, stop)
        if not stop:
            _stream(predictor, plan, reading, clock, stop, dtype)
        stop.leave()


def _source(plan: StreamPlan, clock: Clock) -> Source:
    if plan.place.kind == 'file':
        return FileSource(Path(plan.place.target))
    return LiveSource(plan.place, clock, plan.options.timeout, plan.options.reconnect)


def open_source(source: Source, clock: Clock, realtime: bool, stop: Stop) -> Reading:
    """Opens a source and begins to read it; returns its thread, when the source is open or the run is to stop.

    Raises:
        InputError: It cannot be opened.
    """
    reading = Reading(source, clock, realtime)
    reading.start()
    while not (reading.is_open.wait(POLL) or stop):
        pass
    if reading.queue is None and reading.failure is not None:
        raise reading.failure
    return reading


def _stream(predictor: Predictor, plan: StreamPlan, reading: Reading, clock: Clock, stop: Stop, dtype: str) -> None:
    """Segments what is being read, and says how it went."""
    options, source, logger = plan.options, reading.source, MMLogger.get_current_instance()
    length = options.segment if options.segment is not None else LIVE_SEGMENT * source.is_live
    segments, speed = Segments(plan.results, source.rate, source.base, length, options.opacity), Speed()
    report = StreamReport(plan.results, reading, segments, speed, next(predictor.model.parameters()).device,
                          dict(realtime=options.realtime, segment_seconds=length, dtype=dtype))
    console, closed, warned = open_console(), 0, False

    with ProgressLine(plan.place.name, source.count, report, console) as line:
        def after_each(prediction: Prediction) -> None:
            nonlocal closed, warned
            report.scene_cuts += prediction.is_cut
            line()
            if segments.closed > closed:
                closed = segments.closed
                report.write()
            if reading.queue.dropped and not (warned or options.realtime):
                warned = True
                logger.warning(f'{source.shown}: comes faster than it can be segmented; frames that waited longest are '
                               'dropped from now on')

        try:
            failure = segment_frames(predictor, reading, Writing(segments), speed, clock, stop, after_each)
        except OutputError as error:
            if segments.closed:
                with contextlib.suppress(OutputError):
                    report.write(f'failed: {error}')
            raise
    for warning in source.warnings() if reading.is_whole else ():
        logger.warning(warning)
    if speed.latency.count:
        report.write(f'stopped by {stop.name}' if stop else f'failed: {failure}' if failure else 'at its end')
        logger.info(report.summary())
        places = dict(Overlays=plan.results.overlays, labels=plan.results.labels, report=plan.results.report)
        logger.info(', '.join(f'{name}: {path}' for name, path in places.items() if path))
    if failure is not None:
        raise failure
