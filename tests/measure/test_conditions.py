"""The conditions of a measurement."""
import pytest
import torch

from mmseg_vittm.errors import InputError
from mmseg_vittm.measure import conditions

CPU = torch.device('cpu')


def test_devices_are_refused():
    with pytest.raises(InputError, match='xyz'):
        conditions.resolve_device('xyz')
    with pytest.raises(InputError, match='device=cuda:99: .*give device=cpu'):
        conditions.resolve_device('cuda:99')


def test_names_of_devices(monkeypatch):
    monkeypatch.setattr(conditions, 'device_name', lambda device: 'Intel(R) Xeon(R) Gold 6330 CPU @ 2.00GHz')
    assert conditions.device_slug(CPU) == 'intel-xeon-gold-6330-cpu-2-00ghz'


def test_flags_that_make_a_cpu_fast(monkeypatch, tmp_path):
    monkeypatch.setattr(conditions, 'CPUINFO', tmp_path / 'cpuinfo')
    assert conditions.cpu_flags() == []
    cpu = 'processor\t: {}\nmodel name\t: A CPU  \nflags\t\t: fpu {} sse4_2\n\n'
    conditions.CPUINFO.write_text(cpu.format(0, 'avx512_bf16 avx512f avx avx2') + cpu.format(1, 'amx_int8'))
    assert conditions.cpu_flags() == ['avx2', 'avx512f', 'avx512_bf16']
    assert conditions.device_name(CPU) == 'A CPU'
    assert conditions.describe_machine(CPU).startswith('A CPU (avx2, avx512f, avx512_bf16), ')
    conditions.CPUINFO.write_text(cpu.format(0, 'avx'))
    assert conditions.describe_machine(CPU).startswith(f'A CPU, {torch.get_num_threads()} thread')
