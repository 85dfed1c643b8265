"""benchmarks/matmuls.py: the matmuls of a network alone, beside it."""
import json
import runpy

import pytest
import torch
from measuring import make_subject, sliding_config
from tiny_models import ROOT
from tool_inside import error_inside, run_inside
from torch.utils.flop_counter import FlopCounterMode

from mmseg_vittm.measure.complexity.counting import multiply_adds

SCRIPT = ROOT / 'benchmarks' / 'matmuls.py'


@pytest.fixture
def config(tmp_path):
    return sliding_config(tmp_path)


def test_matmuls_are_those_of_backbone_and_head(config):
    """Noted once per set of inputs: as many multiply-adds as are counted, the weights themselves, nothing after it."""
    measured = make_subject(config, kind=runpy.run_path(str(SCRIPT))['MatmulSubject'])
    for index in (0, 0, 8):
        measured.run(index)
    assert len(measured.seconds) == 3 and min(measured.seconds) > 0 and len(measured.recorded) == 2
    recorder = measured.recorded[((2, 3, 64, 64), )]
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        for func, args, kwargs in recorder.calls:
            func(*args, **kwargs)
    attention = [func for func, _, _ in recorder.calls if 'scaled_dot_product' in func.name()]
    counted = counter.get_total_flops() / 2
    expected = 2 * multiply_adds(measured.model, (1, 3, 64, 64), measured.built.blueprint)[0]
    missing = len(attention) * 2 * 2 * 64**2 * 48  # fused on a CPU: FlopCounterMode does not see it
    assert counted == expected or counted + missing == expected
    stored = {weight.data_ptr() for weight in measured.model.parameters()}
    assert sum(arg.data_ptr() in stored for _, args, _ in recorder.calls for arg in args
               if isinstance(arg, torch.Tensor)) > 20


def test_the_script(config, tmp_path, monkeypatch, capsys):
    path = tmp_path / 'matmuls.json'
    run_inside(monkeypatch, SCRIPT, config, '--segmentor', 'EncoderDecoder', 'SlideSegmentor', '--images', 2, '--json',
               path)
    rows = json.loads(path.read_text())
    assert [(row['segmentor'], row['images'], row['device']) for row in rows] == [
        ('EncoderDecoder', 2, 'cpu'), ('SlideSegmentor', 2, 'cpu')]
    for row in rows:
        assert row['network_over_matmuls'] == pytest.approx(row['network_ms'] / row['matmuls_ms'])
    assert 'matmuls ms' in capsys.readouterr().out
    for options in (('--compile', ), ('--segmentor', 'SlideSegmentor:compile')):
        assert 'leave out compile' in error_inside(monkeypatch, capsys, SCRIPT, config, *options)
    assert str(path) in error_inside(monkeypatch, capsys, SCRIPT, config, '--json', path)
