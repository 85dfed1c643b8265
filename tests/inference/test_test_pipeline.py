"""The test pipeline without annotations: which steps are left, and that the config stays."""
import copy

import mmcv.transforms
import numpy as np
import pytest
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from mmseg_vittm.errors import InputError
from mmseg_vittm.inference.test_pipeline import build_test_pipeline


@TRANSFORMS.register_module()
class LoadSomeAnnotations(LoadAnnotations):
    """A user's own."""


STEPS = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 32), keep_ratio=True),
         dict(type='LoadAnnotations', reduce_zero_label=True), dict(type='PackSegInputs')]


@pytest.mark.parametrize('kind', ['LoadAnnotations', 'mmseg.LoadAnnotations', LoadAnnotations, 'LoadSomeAnnotations'])
def test_no_step_loads_annotations(kind):
    steps = copy.deepcopy(STEPS)
    steps[2]['type'] = kind
    before = copy.deepcopy(steps)
    reader, rest = build_test_pipeline(steps)
    assert type(reader) is mmcv.transforms.LoadImageFromFile and steps == before
    assert [type(step).__name__ for step in rest.transforms] == ['Resize', 'PackSegInputs']
    packed = rest(dict(img=np.zeros((50, 100, 3), np.uint8), img_path=None, img_shape=(50, 100), ori_shape=(50, 100)))
    assert packed['inputs'].shape == (3, 32, 64) and packed['data_samples'].ori_shape == (50, 100)


def test_annotations_first_and_nothing_else():
    reader, rest = build_test_pipeline([STEPS[2], *STEPS[:2]], 'mmseg')
    assert type(reader) is mmcv.transforms.LoadImageFromFile and len(rest.transforms) == 1
    for steps in ([], [STEPS[2]]):
        with pytest.raises(InputError, match="begin with dict\\(type='LoadImageFromFile'\\)"):
            build_test_pipeline(steps)
