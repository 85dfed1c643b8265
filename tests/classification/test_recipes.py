"""The configs of ImageNet: each loads, builds, and says what the paper's Table 7 says."""
import pytest
import timm
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS, TRANSFORMS
from tiny_models import ROOT

from mmseg_vittm.commands.configs.checks import check_config
from mmseg_vittm.commands.trial.traceless import build_on_meta

FOLDER = ROOT / 'configs' / 'imagenet'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py'))
MODEL_NAMES = dict(vittm_t_28='vittm_tiny_patch28_224', vittm_s_28='vittm_small_patch28_224',
                   vittm_b_28='vittm_base_patch28_224', vittm_b_32_16='vittm_base_patch32_16_224',
                   vit_s_16='vit_small_patch16_224', vit_b_32='vit_base_patch32_224')
# By stage: images, classes, batch, learning rate, weight decay, warm-up in epochs, loss, mixup and CutMix, erasing.
STAGES = dict(in21k=(11060223, 10450, 4096, 1.5e-4, 0.03, 3, 'cross_entropy', 0, 0.0),
              in1k=(1281167, 1000, 2048, 0.25e-4, 0.1, 5, 'binary_cross_entropy', 0.8, 0.25))


def load(name: str) -> Config:
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    cfg.filename = name
    return cfg


def test_both_stages_of_every_model_are_there():
    stages = {f'{model}_{stage}' for model in MODEL_NAMES for stage in STAGES}
    assert set(NAMES) == stages | {'vittm_b_28_in21k_shards', 'vittm_b_28_in1k_shards', 'vittm_t_try'}


@pytest.mark.parametrize('name', NAMES)
def test_each_config_is_whole(name, mmseg_scope):
    cfg = load(name)
    for job in ('train', 'test'):
        check_config(cfg, job)
    model = build_on_meta(lambda: MODELS.build(cfg.model))
    assert model.network.num_classes == cfg.model.num_classes
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert DATASETS.get(loader.dataset.type) is not None
        steps = [TRANSFORMS.build(step) for step in loader.dataset.pipeline]
        assert len(steps) == 2 and loader.collate_fn.type == 'default_collate'
    assert cfg.test_dataloader == cfg.val_dataloader and cfg.train_dataloader.dataset.pipeline == cfg.train_pipeline
    assert cfg.train_dataloader.batch_size == cfg.total_batch_size
    assert {'plain_weights', 'same_classes'} <= set(cfg.default_hooks) and 'pictures' not in cfg.default_hooks


@pytest.mark.parametrize('name', [name for name in NAMES if name != 'vittm_t_try'])
def test_table_7(name):
    cfg = load(name)
    stage = 'in21k' if 'in21k' in name else 'in1k'
    images, classes, batch, lr, decay, warmup, loss, mixing, erasing = STAGES[stage]
    assert cfg.model.model_name == MODEL_NAMES[name.split('_in')[0]] and cfg.model.num_classes == classes
    assert (cfg.model.img_size, cfg.model.drop_path_rate) == (224, 0.1)
    assert cfg.model.get('loss', 'cross_entropy') == loss
    assert cfg.model.get('mixup', 0) == cfg.model.get('cutmix', 0) == mixing
    assert cfg.total_batch_size == batch
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', lr, decay)
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=1.0)
    assert cfg.train_cfg.max_iters == 300 * images // batch
    rising, cosine = cfg.param_scheduler
    begin = warmup * images // batch
    assert (rising.type, rising.begin, rising.end) == ('LinearLR', 0, begin)
    assert rising.start_factor * lr == pytest.approx(1e-6)
    assert (cosine.type, cosine.begin, cosine.end, cosine.T_max) == (
        'CosineAnnealingLR', begin, cfg.train_cfg.max_iters, cfg.train_cfg.max_iters - begin)
    assert cosine.eta_min == 1e-7
    step = cfg.train_pipeline[1]
    assert (step.image_size, step.training, step.hflip, step.get('erasing', 0.0)) == (224, True, 0.5, erasing)
    assert step.get('auto_augment') == (None if stage == 'in21k' else 'rand-m20-n2')
    assert [(hook.type, hook.ema_type, hook.momentum) for hook in cfg.custom_hooks] == [
        ('EMAHook', 'ExponentialMovingAverage', 0.001)]


def test_normalisation_and_crop_are_the_models_own():
    """timm's default_cfg of a model says what its weights need; the configs leave it to `TimmTransform`'s defaults."""
    for name in MODEL_NAMES.values():
        cfg = timm.get_pretrained_cfg(name)
        if name.startswith('vittm'):
            assert (cfg.mean, cfg.std, cfg.crop_pct, cfg.interpolation) == ((0.5, ) * 3, (0.5, ) * 3, 0.9, 'bicubic')
    for name in NAMES:
        cfg = load(name)
        for step in (cfg.train_pipeline[1], cfg.test_pipeline[1]):
            assert not {'mean', 'std', 'interpolation'} & set(step)
