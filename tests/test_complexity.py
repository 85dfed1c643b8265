"""Multiply-adds and parameters of the paper's configurations at 224 pixels."""
import json
import math

import pytest
import torch
from tiny_models import DATA

from mmseg_vittm.checkpoint import AUTHORS_TABLE, LoadReport, rename
from mmseg_vittm.classifier import ViTTMClassifier
from mmseg_vittm.vittm import ViTTMEncoder

CONFIGURATIONS = [
    ('vittm_b_64_64', dict(arch='base'), 7.08),
    ('vittm_b_49_196', dict(arch='base', process_patch_size=32, memory_patch_size=16), 7.10),
    ('vittm_s_64_64', dict(arch='small'), 1.84),
]


def count(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize('name,arguments,gflops', CONFIGURATIONS)
def test_gflops_are_the_papers(name, arguments, gflops):
    """The paper counts with fvcore, which sees no fused attention and counts a multiply-add as one."""
    analysis = pytest.importorskip('fvcore.nn', reason='fvcore counts the multiply-adds').FlopCountAnalysis(
        ViTTMEncoder(**arguments).eval(), torch.zeros(1, 3, 224, 224))
    total = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total() / 1e9
    assert total == pytest.approx(gflops, abs=0.02)


@pytest.mark.parametrize('name,arguments,gflops', CONFIGURATIONS)
def test_parameters_are_the_manifests_less_what_is_dropped(name, arguments, gflops):
    shapes = json.loads((DATA / 'manifests' / f'{name}.json').read_text())
    report = LoadReport(name, 'manifest')
    kept = rename({key: torch.empty(shape, device='meta') for key, shape in shapes.items()}, AUTHORS_TABLE, report)
    with torch.device('meta'):
        encoder = ViTTMEncoder(**arguments)
        classifier = ViTTMClassifier(ViTTMEncoder(**arguments), 1000)
    total = sum(math.prod(shape) for shape in shapes.values())
    dropped = {why: numbers for why, (_, numbers) in report.dropped.items()}
    assert set(dropped) == {'unused timm ViT embedding', 'unused projections of the linear heads',
                            'classification only'}
    assert count(encoder) == total - sum(dropped.values()) == sum(tensor.numel() for tensor in kept.values())
    assert {f'encoder.{key}' for key in encoder.state_dict()} == set(kept)
    dims = encoder.embed_dims
    assert dropped['unused projections of the linear heads'] == 24 * (dims * dims + dims)
    # Two of the authors' norms serve nothing in our classifier: what it leaves out is `norm` alone, if at all.
    unused = sum(math.prod(shape) for key, shape in shapes.items() if key.startswith('norm.'))
    assert count(classifier) == count(encoder) + dropped['classification only'] - unused


def test_latent_dims_trade_parameters_as_in_the_papers_table_2():
    """ViTTM-B(49, 196), linear head: 7.10, 8.04 and 9.92 GFLOPs with latent dims d/4, d/2 and d."""
    fvcore = pytest.importorskip('fvcore.nn', reason='fvcore counts the multiply-adds')
    totals = []
    for dims in (96, 192, 384):  # at the small width: a quarter of the work, the same differences in shape
        encoder = ViTTMEncoder('small', process_patch_size=32, memory_patch_size=16, latent_dims=dims)
        totals.append(fvcore.FlopCountAnalysis(encoder, torch.zeros(1, 3, 224, 224)).unsupported_ops_warnings(
            False).uncalled_modules_warnings(False).total() / 1e9)
    assert totals[2] == pytest.approx(2.62, abs=0.02)  # Table 1
    assert totals[2] - totals[1] == pytest.approx(2 * (totals[1] - totals[0]), rel=1e-3)
