"""Peak memory of a call."""
from types import SimpleNamespace

import pytest
import torch
from measuring import CPU

from mmseg_vittm.inference import host_memory
from mmseg_vittm.measure.benchmark import peak as peaks


def test_memory_of_a_call():
    model = torch.nn.Linear(1024, 1024)  # 4 MiB
    peak = peaks.peak_mib(model, lambda: torch.ones(64 * 2**20 // 4).sum(), CPU)
    if peak is None:
        pytest.skip('this system does not tell its peak of resident memory')
    assert 60 < peak < 90


def test_memory_on_a_gpu_is_what_the_call_added_and_the_weights(monkeypatch):
    """Without a GPU: an allocator that holds 100 MiB of others' and peaks at 130."""
    said = []
    for name, value in (('synchronize', None), ('reset_peak_memory_stats', None), ('memory_allocated', 100 * 2**20),
                        ('max_memory_allocated', 130 * 2**20)):
        monkeypatch.setattr(torch.cuda, name, lambda device, name=name, value=value: said.append(name) or value)
    peak = peaks.peak_mib(torch.nn.Linear(1024, 1024, bias=False), lambda: said.append('call'),
                              SimpleNamespace(type='cuda'))
    assert peak == 34
    assert said == ['synchronize', 'reset_peak_memory_stats', 'memory_allocated', 'call', 'synchronize',
                    'max_memory_allocated']


def test_memory_is_unknown_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(host_memory, 'STATUS', tmp_path / 'none')
    assert peaks.peak_mib(torch.nn.Linear(1, 1), lambda: None, CPU) is None
