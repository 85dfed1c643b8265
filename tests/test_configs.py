"""Every config: loads, builds, and says what the paper's recipe says."""
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS, TRANSFORMS
from tiny_models import ROOT

import mmseg_vittm  # noqa: F401  (registers)
from mmseg_vittm.commands.configs.reading import datasets_of

FOLDERS = ('', 'camvid', 'camvid/rare', 'rivals', 'video', 'warm_start')
CONFIGS = sorted(path.relative_to(ROOT / 'configs').as_posix() for folder in FOLDERS
                 for path in (ROOT / 'configs' / folder).glob('*.py'))
ADE20K = [name for name in CONFIGS if name.endswith('ade20k.py')]


def load(name: str) -> Config:
    return Config.fromfile(ROOT / 'configs' / name)


def find(pipeline: list, kind: str) -> dict:
    (step, ) = [step for step in pipeline if step['type'] == kind]
    return step


def test_the_papers_configs_are_there():
    assert {'segmenter_vittm_b_ade20k.py', 'segmenter_vittm_b_49_196_ade20k.py', 'segmenter_vit_b_ade20k.py',
            'segmenter_vit_b_384_ade20k.py', 'segmenter_vit_b32_ade20k.py'} <= set(ADE20K)


@pytest.mark.parametrize('name', CONFIGS)
@torch.no_grad()
def test_builds_and_gives_logits(name, mmseg_scope):
    """The first block stands for all of them, of ALGM two, which merges in two; the rest is the config's."""
    cfg = load(name)
    cfg.model.backbone.out_indices = (0, )
    if cfg.model.backbone.type == 'ALGM':
        cfg.model.backbone.update(out_indices=(1, ), global_layer=1)
    model = MODELS.build(cfg.model).eval()
    head, (height, width) = cfg.model.decode_head, cfg.crop_size
    logits = model(torch.zeros(1, 3, height, width))
    maps = model.backbone(torch.zeros(1, 3, height, width))
    assert maps[0].shape[1] == head.in_channels and head.get('embed_dims', head.channels) == head.channels
    assert logits.shape == (1, head.num_classes, *maps[0].shape[2:]) and logits.isfinite().all()


@pytest.mark.parametrize('name', CONFIGS)
def test_the_whole_backbone_fits_the_head(name):
    cfg = load(name)
    with torch.device('meta'):
        backbone = MODELS.build(cfg.model.backbone).eval()
        (tensor, ) = backbone(torch.empty(1, 3, *cfg.crop_size))
    assert tensor.shape[1] == cfg.model.decode_head.in_channels


@pytest.mark.parametrize('name', CONFIGS)
def test_every_size_follows_the_crop(name):
    cfg = load(name)
    crop = tuple(cfg.crop_size)
    sizes = [cfg.model.data_preprocessor.size]
    if not name.startswith('video/'):  # whose backbones are trained already, on crops of their own
        sizes.append(cfg.model.backbone.img_size)
    sizes += [step['crop_size'] for step in cfg.train_pipeline if step['type'] == 'RandomCrop']
    if cfg.model.test_cfg.mode == 'slide':
        sizes.append(cfg.model.test_cfg.crop_size)
        assert all(step <= side for step, side in zip(cfg.model.test_cfg.stride, crop, strict=True))
    assert [tuple(size) for size in sizes] == [crop] * len(sizes)
    for loader, pipeline in (('train_dataloader', 'train_pipeline'), ('val_dataloader', 'test_pipeline'),
                             ('test_dataloader', 'test_pipeline')):
        for dataset in datasets_of(cfg[loader]):
            assert dataset.pipeline == cfg[pipeline], f'{loader} does not read {pipeline}'


@pytest.mark.parametrize('name', CONFIGS)
def test_every_type_is_registered(name, mmseg_scope):
    cfg = load(name)
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for dataset in datasets_of(cfg[loader]):
            assert DATASETS.get(dataset.type) is not None
            for step in dataset.pipeline:
                TRANSFORMS.build(step)
    # Ground truth is never resized in testing: annotations are loaded after the Resize.
    kinds = [step['type'] for step in cfg.test_pipeline]
    assert kinds.index('LoadAnnotations') > kinds.index('Resize')
    assert cfg.default_scope == 'mmseg'
    assert cfg.custom_imports.imports == ['mmseg_vittm', 'mmseg_vittm.weights.safe_loading']
    assert not cfg.load_from and not cfg.model.backbone.get('pretrained')


# By config: iterations, learning rate, batch per process, batch in all (None where only the former is published), and
# whether weights are averaged. Published for ViTTM-B and ViT-B/16 at 224; the others say in the config what they take.
VITTM_B, VIT_B = (160000, 5e-4, 16, None, True), (160000, 1e-3, 8, None, False)
RECIPES = {
    'segmenter_vittm_b_ade20k.py': VITTM_B,
    'segmenter_vittm_b_49_196_ade20k.py': (480000, 4e-3, 4, None, True),
    'segmenter_vittm_b_49_196_cell_ade20k.py': VITTM_B,
    'segmenter_vittm_s_ade20k.py': VITTM_B,
    'segmenter_vit_b_ade20k.py': VIT_B,
    'segmenter_vit_b_384_ade20k.py': VIT_B,
    'segmenter_vit_b32_ade20k.py': VIT_B,
    **{f'rivals/segmenter_{name}_ade20k.py': VIT_B for name in ('tome_b', 'algm_b', 'lookupvit_b', 'revvit_b')},
    'rivals/segmenter_vittm_b_merged_ade20k.py': VITTM_B,
}
ASSUMED = {'segmenter_vittm_b_49_196_cell_ade20k.py', 'segmenter_vittm_s_ade20k.py', 'segmenter_vit_b_384_ade20k.py',
           'segmenter_vit_b32_ade20k.py', *(name for name in RECIPES if name.startswith('rivals/'))}


def test_every_config_on_ade20k_has_a_recipe():
    assert set(ADE20K) == set(RECIPES)
    for name in ADE20K:
        text = (ROOT / 'configs' / name).read_text(encoding='utf-8')
        comment = ' '.join(line[2:] for line in text.splitlines() if line.startswith('# '))
        assert ("by the authors' config" in comment.lower()) == (name not in ASSUMED), name
        assert any(word in comment for word in ('we take', 'we assume')) == (name in ASSUMED), name


@pytest.mark.parametrize('name', ADE20K)
def test_recipe(name):
    cfg = load(name)
    iterations, lr, batch_size, total_batch_size, averaged = RECIPES[name]
    crop = 504 if name.split('/')[-1] in (
        'segmenter_vittm_b_ade20k.py', 'segmenter_vittm_s_ade20k.py', 'segmenter_vittm_b_merged_ade20k.py') else 512
    assert tuple(cfg.crop_size) == (crop, crop)
    assert cfg.model.test_cfg.mode == 'slide' and tuple(cfg.model.test_cfg.stride) == (480, 480)
    assert tuple(find(cfg.test_pipeline, 'Resize')['scale']) == (2048, crop)
    assert tuple(find(cfg.tta_pipeline, 'Resize')['scale']) == (2048, crop)
    resize, random_crop = find(cfg.train_pipeline, 'RandomResize'), find(cfg.train_pipeline, 'RandomCrop')
    assert tuple(resize['scale']) == (2048, crop) and tuple(resize['ratio_range']) == (0.5, 2.0)
    assert resize['keep_ratio'] and random_crop['cat_max_ratio'] == 0.75
    assert find(cfg.train_pipeline, 'RandomFlip')['prob'] == 0.5 and find(cfg.train_pipeline, 'PhotoMetricDistortion')
    assert find(cfg.train_pipeline, 'LoadAnnotations')['reduce_zero_label']
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=lr, momentum=0.9, weight_decay=0.0)
    (schedule, ) = cfg.param_scheduler
    assert (schedule.type, schedule.power, schedule.eta_min) == ('PolyLR', 0.9, 1e-4)
    assert (schedule.begin, schedule.end, schedule.by_epoch) == (0, iterations, False)
    assert cfg.train_cfg.max_iters == iterations
    assert (cfg.train_dataloader.batch_size, cfg.total_batch_size) == (batch_size, total_batch_size)
    assert [(hook.type, hook.ema_type) for hook in cfg.get('custom_hooks', [])] == [
        ('EMAHook', 'StochasticWeightAverage')] * averaged
    preprocessor, head = cfg.model.data_preprocessor, cfg.model.decode_head
    assert preprocessor.mean == preprocessor.std == [127.5] * 3 and preprocessor.bgr_to_rgb
    assert (preprocessor.pad_val, preprocessor.seg_pad_val) == (0, 255)
    assert (head.type, head.num_layers, head.num_classes, head.dropout_ratio) == (
        'SegmenterMaskTransformerHead', 2, 150, 0.0)
    if 'vittm_s' not in name:
        assert (head.embed_dims, head.num_heads) == (768, 12)


@pytest.mark.parametrize('name,expected', [
    ('segmenter_vittm_b_ade20k.py', dict(process=(18, 18), memory=(18, 18), channels=1536)),
    ('segmenter_vittm_b_49_196_ade20k.py', dict(process=(16, 16), memory=(32, 32), channels=768))])
def test_grids_and_channels_of_the_papers_models(name, expected):
    cfg = load(name)
    with torch.device('meta'):
        backbone = MODELS.build(cfg.model.backbone)
    assert backbone.encoder.grids(*cfg.crop_size) == (expected['process'], expected['memory'])
    assert backbone.encoder.embed_dims == 768 and backbone.encoder.num_layers == 12
    assert cfg.model.decode_head.in_channels == expected['channels']


@pytest.mark.parametrize('name,model_name', [
    ('segmenter_vit_b_ade20k.py', 'vit_base_patch16_224'), ('segmenter_vit_b_384_ade20k.py', 'vit_base_patch16_384'),
    ('segmenter_vit_b32_ade20k.py', 'vit_base_patch32_224')])
def test_baselines_have_vittms_decoder_and_one_recipe(name, model_name):
    cfg, vittm, vit = load(name), load('segmenter_vittm_b_ade20k.py'), load('segmenter_vit_b_ade20k.py')
    assert cfg.model.backbone == dict(type='ViTBackbone', model_name=model_name, img_size=(512, 512))
    assert {**cfg.model.decode_head, 'in_channels': 1536} == vittm.model.decode_head
    for key in ('optim_wrapper', 'param_scheduler', 'train_cfg', 'train_dataloader', 'total_batch_size'):
        assert cfg[key] == vit[key]
    assert 'custom_hooks' not in cfg


def test_custom_imports_register_the_backbone(run_python):
    """As tools outside this project see a config: nobody imported mmseg_vittm before."""
    done = run_python(f"""
import contextlib, io, sys
with contextlib.redirect_stdout(io.StringIO()):
    from mmengine.config import Config
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules
    register_all_modules(init_default_scope=True)
assert 'mmseg_vittm' not in sys.modules
cfg = Config.fromfile({str(ROOT / 'configs' / 'segmenter_vittm_s_ade20k.py')!r})
assert 'mmseg_vittm' in sys.modules
cfg.model.backbone.out_indices = (0, )
print(type(MODELS.build(cfg.model).backbone).__name__)
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == 'ViTTM'


LABORATORY = [name for name in CONFIGS if name.startswith('camvid/') and '/rare/' not in name]
RARE = [name for name in CONFIGS if '/rare/' in name]


@pytest.mark.parametrize('name', LABORATORY)
def test_the_laboratorys_models_differ_in_patches_and_maps_alone(name):
    """The same width, depth, head, data and schedule: what is compared is how tokens are made and used."""
    hidden = name.endswith('_hidden.py')
    cfg, control = load(name), load('camvid/vit_32_hidden.py' if hidden else 'camvid/vit_32.py')
    backbone, head = cfg.model.pop('backbone'), cfg.model.decode_head
    control.model.pop('backbone')
    concatenated = 192 * (2 if backbone.get('out_tokens') == 'concat' or backbone.type == 'RevViT' else 1)
    assert (head.pop('in_channels'), head.pop('channels')) == (concatenated, 192 if hidden else concatenated)
    for channels in ('in_channels', 'channels'):
        control.model.decode_head.pop(channels)
    assert cfg.to_dict() == control.to_dict()
    if 'arch' in backbone:
        assert backbone.arch == dict(embed_dims=192, num_layers=6, num_heads=3, mlp_ratio=4.0)
    else:
        assert (backbone.model_name, backbone.num_layers) == ('vit_tiny_patch16_224', 6)
    sizes = [backbone[key] for key in ('patch_size', 'process_patch_size', 'memory_patch_size') if key in backbone]
    assert '_'.join(map(str, sizes)) in name


@pytest.mark.parametrize('name', RARE)
def test_what_helps_rare_classes_changes_the_training_alone(name):
    """The same model, images and schedule: losses, what is drawn and how it is cropped differ."""
    cfg, control = load(name), load('camvid/vittm_32_8_cell_mlp.py')
    assert cfg.to_dict() != control.to_dict()
    for one in (cfg, control):
        one.model.decode_head.pop('loss_decode')
        one.model.decode_head.pop('sampler', None)
        one.train_dataloader.pop('sampler')
        one.train_dataloader.dataset.pipeline = one.train_pipeline = [
            step for step in one.train_pipeline if step['type'] not in ('RandomCrop', 'ClassCrop')]
    assert cfg.to_dict() == control.to_dict()
