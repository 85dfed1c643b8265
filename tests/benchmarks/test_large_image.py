"""benchmarks/large_image.py: what it measures, and that memory does not grow with the image."""
import json
import subprocess
import sys

import pytest
from tiny_models import ROOT
from tool_runs import environment

pytest.importorskip('rasterio', reason='the extra geo is not installed')
WITHOUT = 3000**2 * (3 * 4 + 14 * 4) / 2**20  # MiB of the image and its logits in float32, were they in memory at once


def measured(folder, *sizes) -> list[dict]:
    """Runs it; returns its records."""
    done = subprocess.run(
        [sys.executable, str(ROOT / 'benchmarks' / 'large_image.py'), '--sizes', *map(str, sizes), '--threads', '1',
         '--scratch', str(folder), '-o', str(folder / 'out')], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [path.name for path in folder.iterdir()] == ['out']  # nothing else is left
    found = json.loads((folder / 'out' / 'large_image.json').read_text())
    assert found['device'] and found['versions']['torch'] and 'PyTorch' in found['timer']
    return found['images']


def test_it_measures(tmp_path):
    small, = measured(tmp_path, 600)
    assert small['size'] == 600 and small['peak_mib'] > 100 and small['processor_seconds'] > 0
    assert small['pixels_per_second'] == pytest.approx(600**2 / small['seconds'], rel=0.01)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_image(tmp_path):
    small, large = measured(tmp_path, 600, 3000)
    assert large['peak_mib'] - small['peak_mib'] < 0.4 * WITHOUT
