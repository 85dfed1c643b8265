"""The paper's tables rebuilt."""
import pytest
import torch

from mmseg_vittm.measure.complexity import rebuild
from mmseg_vittm.measure.complexity.counting import fvcore_multiply_adds
from mmseg_vittm.measure.complexity.paper import TABLES

ROWS = [row for number, rows in TABLES.items() for row in rows if number != 5]  # which has the rows of 8


@pytest.mark.parametrize('row', ROWS, ids=lambda row: f'{row.table}: {row.name}')
def test_gflops_are_the_papers(row):
    record = rebuild.rebuild(row, None, torch.device('cpu'))
    tolerance = dict(abs=0.01) if row.arguments else dict(rel=0.006)  # the paper's figures have two decimals
    assert record['gflops'] == pytest.approx(record['gflops_paper'], **tolerance)
    if row.params_m is not None:
        assert record['params_m_with_dead'] == pytest.approx(row.params_m, abs=0.75)
    assert (record['params_m'] < record['params_m_with_dead']) == bool(row.arguments)


@pytest.mark.parametrize('name,without', [('ViT-B/16', 4.25), ('ViT-B/16 ToMe r=8', 3.38), ('CrossViT-B', 5.11),
                                          ('Rev-ViT-B', 4.05)])
def test_only_some_of_the_papers_figures_have_the_products_inside_attention(name, without):
    """By percents of the count with them, which is what ViT-B/16's is smaller by for this reason alone."""
    (row, ) = [row for row in TABLES[8] if row.name == name]
    model, shape = row.build(), (1, 3, row.image_size, row.image_size)
    with_it, without_it = (fvcore_multiply_adds(model, shape, attention) / 1e9 for attention in (True, False))
    assert 100 * (1 - without_it / with_it) == pytest.approx(without, abs=0.2)
    assert abs(row.gflops - (with_it if row.attention else without_it)) < 0.01 < abs(
        row.gflops - (without_it if row.attention else with_it))


def test_latency_is_measured_per_batch(monkeypatch):
    monkeypatch.setattr(rebuild, 'MEASURE_SECONDS', 0.02)
    seen = []

    class Model(torch.nn.Linear):
        def forward(self, images):
            seen.append(tuple(images.shape))
            return images

    assert 0 < rebuild.latency(Model(1, 1), 3, torch.device('cpu')) < 20
    assert set(seen) == {(3, 3, 224, 224)} and len(seen) > 1
