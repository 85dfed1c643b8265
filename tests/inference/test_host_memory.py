"""Host memory: training keeps freed pages, a process that serves gives them back."""
import ctypes

import pytest
import torch

from mmseg_vittm.inference import host_memory
from mmseg_vittm.inference.host_memory import MIB, Trimmer, keep_freed, peak_growth, resident, trim

MISSING = host_memory.STATUS / 'missing'
linux_only = pytest.mark.skipif(resident() is None, reason='this system does not tell resident memory')
tells_peak = pytest.mark.skipif(peak_growth(lambda: None) is None, reason='this system does not tell its peak')


@linux_only
def test_resident_memory(run_python):
    """In a process of its own: what others have freed in this one may be where the block goes."""
    done = run_python("""
import torch
from mmseg_vittm.inference.host_memory import resident
before = resident()
block = torch.ones(2**24)  # 64 MiB
assert 56 < resident() - before < 80, resident() - before
""")
    assert done.returncode == 0, done.stderr[-1000:]


@tells_peak
def test_peak_growth():
    """What is freed in the call counts, what was there before does not; the call runs once."""
    calls = []
    block = torch.ones(32 * MIB // 4)
    growth = peak_growth(lambda: calls.append(torch.ones(64 * MIB // 4).sum()))
    assert 60 < growth < 80 and len(calls) == 1 and len(block)
    assert peak_growth(lambda: None) < 8


def test_systems_that_do_not_tell(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(host_memory, 'CLEAR_REFS', MISSING)
    assert peak_growth(lambda: calls.append(1)) is None
    monkeypatch.setattr(host_memory, 'CLEAR_REFS', tmp_path / 'clear_refs')
    monkeypatch.setattr(host_memory, 'STATUS', tmp_path / 'status')
    host_memory.STATUS.write_text('VmRSS:\t 2048 kB\nVmHWM:\t 4096 kB\n')
    assert peak_growth(lambda: calls.append(1)) == 2
    host_memory.STATUS.write_text('VmRSS:\t 2048 kB\n')  # as some sandboxes have it
    assert peak_growth(lambda: calls.append(1)) is None
    monkeypatch.setattr(host_memory, 'STATUS', MISSING)
    monkeypatch.setattr(host_memory, 'STATM', MISSING)
    assert peak_growth(lambda: calls.append(1)) is None and resident() is None
    assert len(calls) == 4
    Trimmer()()
    with pytest.raises(OSError, match='of the call'):
        peak_growth(fails)


def fails() -> None:
    raise OSError('of the call')


@pytest.fixture
def glibc(monkeypatch):
    """Stands in for the C library: notes its calls; nothing is kept by the process yet, and it has no GPU."""
    calls = []
    library = type('Library', (), dict(
        mallopt=staticmethod(lambda option, value: calls.append(('mallopt', option, value)) or 1),
        malloc_trim=staticmethod(lambda pad: calls.append(('malloc_trim', pad)) or 1)))
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: library)
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    host_memory._keeps.clear()
    yield calls
    host_memory._keeps.clear()


@pytest.fixture
def world(monkeypatch):
    """Resident memory in MiB, to be set."""
    world = dict(resident=100.0)
    monkeypatch.setattr(host_memory, 'resident', lambda: world['resident'])
    return world


def test_freed_memory_is_kept_for_training(glibc, monkeypatch):
    assert keep_freed() and glibc == [('mallopt', -3, 2**31 - 1), ('mallopt', -1, 2**31 - 1)]
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    glibc.clear()
    assert not keep_freed() and not glibc


def test_other_c_libraries(monkeypatch):
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: object())
    assert not keep_freed() and not trim()


def test_trims_where_memory_has_grown_by_more_than_the_slack(glibc, world):
    """Since it was last given back, and not by what is in use."""
    trimmer = Trimmer(slack=8)
    for now, trims in ((107, 0), (109, 1), (116, 1), (117, 1), (118, 2), (126, 2), (127, 3)):
        world['resident'] = now
        trimmer()
        assert len(glibc) == trims, now


def test_a_training_process_is_not_trimmed(glibc, world):
    trimmer = Trimmer(slack=8)
    keep_freed()
    glibc.clear()
    world['resident'] = 500.0
    trimmer()
    assert not glibc
