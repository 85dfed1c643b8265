"""Soak: images of many sizes through the fast path, in memory that stays what it was; `tests/soak.py` runs them."""
import json
import os
import subprocess
import sys

import pytest
from soak import build, images
from tiny_models import ROOT
from tool_runs import environment

from mmseg_vittm import Predictor
from mmseg_vittm.inference.host_memory import resident

COUNT = int(os.environ.get('MMSEG_VITTM_SOAK', '0'))  # 2000 is the whole of it: minutes
MOST = 50  # MiB
linux_only = pytest.mark.skipif(resident() is None, reason='this system does not tell resident memory')


def soak(*options: str) -> dict:
    done = subprocess.run([sys.executable, str(ROOT / 'tests' / 'soak.py'), *options], capture_output=True, text=True,
                          timeout=3600, env=environment())
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


def test_the_predictor_trims_after_every_batch(monkeypatch):
    trims = []
    monkeypatch.setattr('mmseg_vittm.inference.predictor._trim', lambda: trims.append(1))
    list(Predictor(build('slide'))(images(3, 3)))
    assert len(trims) == 3
