"""Soak: images of many sizes through the fast path, in memory that stays what it was; `tests/soak.py` runs them."""
import json
import os
import subprocess
import sys

import pytest
from soak import build, images
from tiny_models import ROOT

from mmseg_vittm import Predictor
from mmseg_vittm.inference.host_memory import Heap, resident_memory

COUNT = int(os.environ.get('MMSEG_VITTM_SOAK', '0'))  # 2000 is the whole of it: minutes
MOST = 50  # MiB
linux_only = pytest.mark.skipif(resident_memory() is None, reason='this system does not tell resident memory')


def soak(*options: str) -> dict:
    paths = [str(ROOT), str(ROOT / 'tests'), *filter(None, [os.environ.get('PYTHONPATH')])]
    done = subprocess.run([sys.executable, str(ROOT / 'tests' / 'soak.py'), *options], capture_output=True, text=True,
                          timeout=3600, env=os.environ | dict(PYTHONPATH=os.pathsep.join(paths), OMP_NUM_THREADS='1'))
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@linux_only
@pytest.mark.slow
@pytest.mark.parametrize('mode', ['slide', 'whole'])
def test_memory_stays_what_it_was(mode):
    """After each size came up once; MMSEG_VITTM_SOAK=2000 is the whole count, with 200 sizes."""
    result = soak(mode, '--count', str(COUNT or 60), '--sizes', '200' if COUNT else '20')
    assert result['growth'] < MOST, result


@linux_only
@pytest.mark.skipif(not COUNT, reason='MMSEG_VITTM_SOAK=2000 runs it')
@pytest.mark.parametrize('backend', ['eager', 'aot_eager'])
@pytest.mark.parametrize('mode', ['slide', 'whole'])
def test_memory_stays_what_it_was_compiled(mode, backend):
    result = soak(mode, '--count', str(COUNT), '--backend', backend)
    assert result['growth'] < MOST, result


@linux_only
def test_free_memory_is_given_back(monkeypatch):
    """Where it has grown by more than the slack since it was last given back, and not by what is in use."""
    resident = iter([100.0, 107.0, 109.0, 108.5, 116.0, 117.0, 117.0])
    monkeypatch.setattr('mmseg_vittm.inference.host_memory.resident_memory', lambda: next(resident))
    heap, given_back = Heap(slack=8), []
    heap._give_back = given_back.append
    for expected in ([], [0], [0], [0, 0]):
        heap.trim()
        assert given_back == expected


@linux_only
def test_the_segmentor_gives_it_back(monkeypatch):
    trimmed = []
    monkeypatch.setattr(Heap, 'trim', lambda heap: trimmed.append(heap))
    list(Predictor(build('slide'))(images(3, 3)))
    assert len(trimmed) == 3 and len(set(trimmed)) == 1  # the process's heap, after every batch
