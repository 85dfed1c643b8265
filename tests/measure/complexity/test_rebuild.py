"""The paper's tables rebuilt."""
import pytest
import torch

from mmseg_vittm.measure.complexity import rebuild
from mmseg_vittm.measure.complexity.paper import TABLES

ROWS = [row for rows in TABLES.values() for row in rows]


@pytest.mark.parametrize('row', ROWS, ids=lambda row: f'{row.table}: {row.name}')
def test_gflops_are_the_papers(row):
    record = rebuild.rebuild(row, None, torch.device('cpu'))
    assert record['gflops'] == pytest.approx(record['gflops_paper'], abs=0.02)
    if row.params_m is not None:
        assert record['params_m'] < record['params_m_paper']
        assert record['params_m_with_dead'] == pytest.approx(row.params_m, abs=0.5)


def test_latency_is_measured_per_batch(monkeypatch):
    monkeypatch.setattr(rebuild, 'MEASURE_SECONDS', 0.02)
    seen = []

    class Model(torch.nn.Linear):
        def forward(self, images):
            seen.append(tuple(images.shape))
            return images

    assert 0 < rebuild.latency(Model(1, 1), 3, torch.device('cpu')) < 20
    assert set(seen) == {(3, 3, 224, 224)} and len(seen) > 1
