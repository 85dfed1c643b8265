"""Parameters of the paper's configurations: the authors' files less what is dropped."""
import json
import math

import pytest
import torch
from tiny_models import DATA

from mmseg_vittm.vittm import ViTTMEncoder
from mmseg_vittm.vittm.classifier import ViTTMClassifier
from mmseg_vittm.weights.families import AUTHORS
from mmseg_vittm.weights.report import LoadReport

CONFIGURATIONS = [
    ('vittm_b_64_64', dict(arch='base')),
    ('vittm_b_49_196', dict(arch='base', process_patch_size=32, memory_patch_size=16)),
    ('vittm_s_64_64', dict(arch='small')),
]


def count(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize('name,arguments', CONFIGURATIONS)
def test_parameters_are_the_manifests_less_what_is_dropped(name, arguments):
    shapes = json.loads((DATA / 'manifests' / f'{name}.json').read_text())
    report = LoadReport(name, 'manifest')
    kept = AUTHORS.rename({key: torch.empty(shape, device='meta') for key, shape in shapes.items()}, report)
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
