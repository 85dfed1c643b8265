"""The configs of what ViTTM is compared with: each builds, and learns by its own recipe's optimizer."""
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from tiny_models import ROOT
from tool_runs import losses, run_tool

CONFIGS = sorted(path.relative_to(ROOT / 'configs').as_posix() for path in (
    *(ROOT / 'configs' / 'rivals').glob('*.py'),
    *(ROOT / 'configs' / 'camvid' / f'{name}.py' for name in (
        'tome_8', 'algm_8', 'lookupvit_8', 'revvit_8', 'vittm_16_8_merged'))))
TYPES = {'tome': 'ToMe', 'algm': 'ALGM', 'lookupvit': 'LookupViT', 'revvit': 'RevViT', 'vittm': 'ViTTM'}


def load(name: str) -> Config:
    cfg = Config.fromfile(ROOT / 'configs' / name)
    if name.endswith('ade20k.py'):  # few of twelve blocks: enough for ALGM's two, and the rest are the same
        cfg.model.backbone.out_indices = (4, ) if cfg.model.backbone.type == 'ALGM' else (0, )
        cfg.train_dataloader.batch_size = 1
    return cfg


def batch_of(cfg: Config) -> dict:
    """A batch of the config's size: images half of which is flat, so that thresholds have something to merge."""
    generator, (height, width) = torch.Generator().manual_seed(0), cfg.crop_size
    count, classes = min(4, cfg.train_dataloader.batch_size), cfg.model.decode_head.num_classes
    images = torch.randint(0, 256, (count, 3, height, width), generator=generator).float()
    images[..., :width // 2] = 100.0
    labels = torch.randint(0, classes, (count, 1, height, width), generator=generator)
    labels[..., :width // 2] = 0
    samples = [SegDataSample(gt_sem_seg=PixelData(data=one)) for one in labels]
    return dict(inputs=list(images), data_samples=samples)


def test_there_is_one_for_each_backbone_and_data_set():
    for data, ending in (('ADE20K', '_ade20k.py'), ('toy scenes', '_toy.py'), ('CamVid', '')):
        folder = 'camvid/' if data == 'CamVid' else 'rivals/'
        found = {load(name).model.backbone.type for name in CONFIGS if name.startswith(folder) and ending in name}
        assert found == set(TYPES.values()), data


@pytest.mark.parametrize('name', CONFIGS)
def test_learns(name, mmseg_scope):
    torch.manual_seed(0)
    cfg = load(name)
    (kind, ) = [kind for word, kind in TYPES.items() if f'{word}_' in name.split('/')[-1]]
    assert cfg.model.backbone.type == kind and (kind != 'ViTTM' or cfg.model.backbone.merge_tokens)
    model = MODELS.build(cfg.model).train()
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {key: weight.detach().clone() for key, weight in model.named_parameters()}
    seen = []
    for _ in range(2 if name.endswith('ade20k.py') else 4):
        found = model.loss(**model.data_preprocessor(batch_of(cfg), True))
        loss, _ = model.parse_losses(found)
        optimizer.update_params(loss)
        seen.append(float(loss))
    assert all(torch.tensor(seen).isfinite()) and min(seen[1:]) < seen[0], seen
    still = [key for key, weight in model.named_parameters() if torch.equal(weight, before[key])]
    assert not still, f'did not learn: {still}'


@pytest.mark.parametrize('name', ['algm', 'revvit'])
def test_the_tool_trains_them(name, tmp_path):
    """Those with a state or a backward pass of their own, through data, hooks and checkpoint."""
    config = ROOT / 'configs' / 'rivals' / f'segmenter_{name}_t_toy.py'
    run_tool('train.py', config, '--work-dir', tmp_path / 'run', '--data-root', tmp_path / 'scenes', '--cfg-options',
             'train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'train_dataloader.batch_size=2', 'total_batch_size=2',
             'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False',
             'default_hooks.logger.interval=1', *(
                 f'{loader}_dataloader.dataset.{option}' for loader in ('train', 'val', 'test')
                 for option in ('num_train=4', 'num_val=2', 'draw=True')))
    assert len(losses(tmp_path / 'run')) == 2 and (tmp_path / 'run' / 'iter_2.pth').is_file()
