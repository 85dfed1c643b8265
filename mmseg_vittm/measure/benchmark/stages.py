"""Times of backbone and decode head inside a call of a segmentor, the rest being what comes after the head."""
import functools
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import nn

from ..conditions import synchronize

STAGES = ('backbone', 'head', 'network', 'post')  # the network where backbone and head are one graph


@dataclass
class Call:
    """One timed call: seconds in all and by stage, and the shapes (N, C, H, W) that the backbone was given."""
    seconds: float
    stages: dict[str, float]
    shapes: list[tuple[int, ...]] = field(default_factory=list)


def parts(segmentor: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yields a segmentor's backbone, neck and decode heads, those that it has, each with its stage.

    Of a compiled `FastNetwork`, which is all of them in one, it yields that alone.
    """
    network = getattr(segmentor, 'network', None)
    if getattr(network, 'options', None):
        yield network, 'network'
        return
    for name, stage in (('backbone', 'backbone'), ('neck', 'backbone'), ('decode_head', 'head')):
        module = getattr(segmentor, name, None)
        if isinstance(module, nn.ModuleList):  # a cascade's heads
            yield from ((part, stage) for part in module)
        elif module is not None:
            yield module, stage


class StageTimer:
    """Times a segmentor's calls, and in them its backbone (with a neck) and its decode head.

    It replaces `forward` of these modules by timed ones, since MMSegmentation calls a head's `forward` directly,
    past any hook. Marks on a GPU are events, which do not wait, so that stages cost the call nothing.

    Args:
        segmentor: A segmentor; where it has no `backbone` or `decode_head`, all counts to the rest.
        device: Where it runs.
    """

    def __init__(self, segmentor: nn.Module, device: torch.device):
        self.segmentor, self.device = segmentor, device
        self._marks: list[tuple] = []
        self._shapes: list[tuple[int, ...]] = []
        self._around: AbstractContextManager = nullcontext()
        for module, stage in parts(segmentor):
            self._wrap(module, stage)

    def _wrap(self, module: nn.Module, stage: str) -> None:
        forward = module.forward
        sees_inputs = stage == 'network' or module is getattr(self.segmentor, 'backbone', None)

        @functools.wraps(forward)
        def timed(*args, **kwargs):
            if sees_inputs and args:
                self._shapes.append(tuple(args[0].shape))
            start = self._mark()
            with self._around:
                out = forward(*args, **kwargs)
            self._marks.append((stage, start, self._mark()))
            return out

        module.forward = timed

    def _mark(self) -> float | torch.cuda.Event:
        if self.device.type != 'cuda':
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _seconds(self, start, end) -> float:
        return start.elapsed_time(end) / 1000 if self.device.type == 'cuda' else end - start

    def record(self, recorder: AbstractContextManager, call: Callable[[], object]) -> None:
        """Makes a call of the segmentor, untimed, with a context around its backbone, neck and heads alone."""
        self._around = recorder
        try:
            call()
        finally:
            self._around = nullcontext()

    def time(self, call: Callable[[], object]) -> Call:
        """Times a call of the segmentor between two synchronisations with the device."""
        self._marks, self._shapes = [], []
        synchronize(self.device)
        begin, start = time.perf_counter(), self._mark()
        call()
        end = self._mark()
        synchronize(self.device)
        seconds = time.perf_counter() - begin
        stages = dict.fromkeys(STAGES, 0.0)
        for stage, first, last in self._marks:
            stages[stage] += self._seconds(first, last)
        stages['post'] = max(0.0, self._seconds(start, end) - sum(stages.values()))
        return Call(seconds, stages, list(self._shapes))
