"""Times by stage, by clocks of our own."""
from types import SimpleNamespace

import pytest
import torch
from measuring import CPU, fake_segmentor

from mmseg_vittm.measure.benchmark import stages
from mmseg_vittm.measure.benchmark.stages import Call, StageTimer


def call_all(model: torch.nn.Module) -> None:
    for part in (model.backbone, model.neck, model.decode_head[0].forward, model.decode_head[1].forward, model.rest):
        part(torch.zeros(1, 3, 8, 9))


def test_stages_by_a_clock_of_our_own(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(stages.time, 'perf_counter', lambda: clock[0])
    model = fake_segmentor(clock)
    timer = StageTimer(model, CPU)
    for _ in range(2):
        call = timer.time(lambda: call_all(model))
        assert call == Call(10.5, dict(backbone=2.5, head=7.0, network=0.0, post=1.0), [(1, 3, 8, 9)])


def test_stages_on_a_gpu_are_events_between_two_synchronisations(monkeypatch):
    """Without a GPU: events that read a clock, and a device that is 1 s behind until it is waited for."""
    clock, waits = [0.0], []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            self.at = clock[0]

        def elapsed_time(self, end):
            assert waits[-1] == 'after' or len(waits) == 2, 'read before the device was waited for'
            return 1000 * (end.at - self.at)

    def synchronize(device):
        waits.append('after' if waits else 'before')
        clock[0] += 1.0

    monkeypatch.setattr(stages.time, 'perf_counter', lambda: clock[0])
    monkeypatch.setattr(torch.cuda, 'Event', Event)
    monkeypatch.setattr(torch.cuda, 'synchronize', synchronize)
    model = fake_segmentor(clock)
    call = StageTimer(model, SimpleNamespace(type='cuda')).time(lambda: call_all(model))
    assert waits == ['before', 'after']
    assert call.seconds == 11.5 and call.stages == pytest.approx(dict(backbone=2.5, head=7.0, network=0.0, post=1.0))
