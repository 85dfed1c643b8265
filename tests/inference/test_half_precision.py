"""bfloat16, float16 and TF32 on a trained toy model: labels and score against float32's."""
import copy

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from PIL import Image
from tool_runs import logged_scores, run_tool, write_config
from torch.utils._python_dispatch import TorchDispatchMode

from mmseg_vittm import optimize
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.weights.whole_model import load_model

# Four scenes learned, and tested on: labels of a model that has learned nothing are ties, which say nothing.
LEARN = """
train_cfg = dict(max_iters=400, val_interval=400)
default_hooks = dict(checkpoint=dict(interval=400), logger=dict(interval=100))
dataset.update(num_train=4)
train_dataloader = dict(batch_size=4, dataset=dataset)
val_dataloader = dict(dataset=dict(
    data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'), **dataset))
test_dataloader = val_dataloader
"""
MATMULS = {torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.baddbmm,
            torch.ops.aten.convolution, torch.ops.aten._scaled_dot_product_flash_attention_for_cpu}


class RoundedMatmuls(TorchDispatchMode):
    """Rounds what goes into matmuls and convolutions to 10 bits of mantissa, as a GPU does for TF32."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._overloadpacket in MATMULS:
            self.count += 1
            args = [self.rounded(arg) if isinstance(arg, torch.Tensor) and arg.dim() > 1 else arg for arg in args]
        return func(*args, **(kwargs or {}))

    @staticmethod
    def rounded(values: torch.Tensor) -> torch.Tensor:
        assert values.dtype == torch.float32
        return ((values.contiguous().view(torch.int32) + 0x1000) & ~0x1fff).view(torch.float32)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A config, its checkpoint after it has learned four scenes, and what float32 says of them."""
    folder = tmp_path_factory.mktemp('trained')
    config = write_config(folder, more=LEARN)
    run_tool('train.py', config, '--work-dir', folder / 'work')
    run = dict(config=config, checkpoint=folder / 'work' / 'iter_400.pth')
    run['scores'], run['labels'] = scored(run, folder / 'fp32')
    assert run['scores']['mIoU'] > 40
    return run


def scored(run: dict, work, *options: str) -> tuple[dict, np.ndarray]:
    """Scores and labels (images, H, W) of tools/test.py."""
    run_tool('test.py', run['config'], run['checkpoint'], '--work-dir', work, '--out', work / 'out', *options)
    paths = sorted((work / 'out').iterdir())
    return logged_scores(work), np.stack([np.asarray(Image.open(path)) for path in paths])


@pytest.mark.slow
@pytest.mark.parametrize('dtype', ['bf16', 'fp16'])
def test_labels_and_score(trained, tmp_path, dtype):
    scores, labels = scored(trained, tmp_path, '--dtype', dtype)
    assert 0.995 <= (labels == trained['labels']).mean() < 1
    assert abs(scores['mIoU'] - trained['scores']['mIoU']) <= 0.2


@pytest.mark.slow
def test_tf32(trained):
    """TF32, which no CPU has, by rounding what goes into matmuls."""
    cfg = load_config(str(trained['config']))
    model = optimize(load_model(cfg, str(trained['checkpoint']), 'cpu'))
    equal = []
    for batch in Runner.build_dataloader(cfg.test_dataloader):
        with torch.no_grad():
            (exact, ) = model.test_step(copy.deepcopy(batch))
            with RoundedMatmuls() as matmuls:
                (rounded, ) = model.test_step(batch)
        assert matmuls.count > 20
        equal.append((exact.pred_sem_seg.data == rounded.pred_sem_seg.data).float().mean().item())
    assert 0.995 <= np.mean(equal) < 1
