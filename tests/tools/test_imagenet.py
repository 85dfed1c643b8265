"""From 21K-like classes to 1K-like ones, to a score, to a segmentor: tools/train.py and test.py on tiny classifiers."""
import shutil

import pytest
import timm
import torch
from class_images import TINY_VIT, TINY_VITTM, draw, write_class_config, write_shards, write_tree
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from tiny_models import ROOT
from tool_inside import error_inside, run_inside
from tool_runs import logged, write_config

from mmseg_vittm.weights.whole_model import read_checkpoint

FIRST_STAGE = "model.update(loss='cross_entropy', mixup=0, cutmix=0)\n"
SHORT = """
train_cfg = dict(max_iters=4, val_interval=4)
default_hooks = dict(checkpoint=dict(interval=4), logger=dict(interval=1))
"""
ONE = SHORT.replace('=4', '=1')
BACKBONES = dict(
    vittm="model['backbone'] = dict(img_size=crop_size, arch=dict(embed_dims=24, num_layers=2, num_heads=3, "
    'mlp_ratio=4.0), process_patch_size=8, memory_patch_size=8)\n',
    vit="model['backbone'] = dict(_delete_=True, type='ViTBackbone', img_size=crop_size, patch_size=8, num_layers=2, "
    "model_name='vit_tiny_patch16_224')\n")
HEADS = "model['decode_head'].update(in_channels={0}, channels=48)\nmodel['auxiliary_head'].update(in_channels={0}, " \
    'channels={0})\n'
TINY = dict(vittm=TINY_VITTM, vit=TINY_VIT | dict(model_args=dict(depth=2, patch_size=8)))
WIDTH = dict(vittm=48, vit=192)


def write_segmentor(folder, kind):
    return write_config(folder, 'segmentor.py', BACKBONES[kind] + HEADS.format(WIDTH[kind]) + ONE)


@pytest.fixture(scope='module')
def trees(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trees')
    write_tree(folder / 'many', classes=6)
    write_tree(folder / 'few', classes=3, prefix='m')
    write_shards(folder / 'shards', classes=3)
    return folder


@pytest.fixture(autouse=True)
def no_config_in_print(monkeypatch):
    """Most of a short run's time goes into the text of its config, and nothing here depends on it."""
    monkeypatch.setattr(Config, 'pretty_text', property(lambda config: 'max_iters = 0'))


@pytest.fixture
def few(trees, tmp_path):
    """A config of three classes."""
    return write_class_config(tmp_path / 'few.py', trees / 'few', model=TINY_VITTM, more=SHORT)


def scores_of(work_dir) -> dict:
    entry = logged(work_dir)[-1]
    return {name: value for name, value in entry.items() if 'top' in name}


@pytest.mark.parametrize('kind', ['vittm', 'vit'])
def test_from_many_classes_to_few_to_a_segmentor(kind, trees, tmp_path, monkeypatch, capsys, log_lines):
    many = write_class_config(tmp_path / 'many.py', trees / 'many', 6, TINY[kind], more=FIRST_STAGE + SHORT)
    few = write_class_config(tmp_path / 'few.py', trees / 'few', 3, TINY[kind], more=SHORT)
    work = tmp_path / 'work'
    run_inside(monkeypatch, 'train.py', many, '--work-dir', work / 'many')
    run_inside(monkeypatch, 'train.py', few, '--work-dir', work / 'few', '--pretrained', work / 'many' / 'iter_4.pth')
    said, = (line for line in log_lines.of('INFO') if 'ImageClassifier: loaded' in line)
    assert 'a head of 6 classes, where this model begins one of 3 anew' in said
    validated = scores_of(work / 'few')
    names = ('process_top', 'memory_top') if kind == 'vittm' else ('top', )
    assert set(validated) == {f'{plain}{name}{k}' for plain in ('', 'plain/') for name in names for k in (1, 5)}

    checkpoint = work / 'few' / 'iter_4.pth'
    run_inside(monkeypatch, 'test.py', few, checkpoint, '--work-dir', work / 'test')
    scored = [line for line in log_lines.of('INFO') if line.startswith('Iter(test)')][-1]
    assert all(f'{name}: {value:.4f}' in scored for name, value in validated.items()), (scored, validated)

    segmentor = write_segmentor(tmp_path, kind)
    run_inside(monkeypatch, 'train.py', segmentor, '--work-dir', work / 'seg', '--pretrained', checkpoint,
               '--cfg-options', 'optim_wrapper.optimizer.lr=0', 'optim_wrapper.optimizer.weight_decay=0')
    average, trained = (read_checkpoint(str(path))['state_dict'] for path in (checkpoint, work / 'seg' / 'iter_1.pth'))
    ours, theirs = dict(vittm=('network.encoder.blocks.', 'backbone.encoder.blocks.'),
                        vit=('network.blocks.', 'backbone.vit.blocks.'))[kind]
    blocks = {name.replace(ours, theirs): weight for name, weight in average.items() if name.startswith(ours)}
    assert len(blocks) > 20 and all(torch.equal(trained[name], weight) for name, weight in blocks.items())
    plain = read_checkpoint(str(checkpoint))['ema_state_dict']
    assert any(not torch.equal(plain[f'module.{name}'], average[name]) for name in average)  # so it was the average

    converted = tmp_path / 'classifier.safetensors'
    run_inside(monkeypatch, 'convert_checkpoint.py', checkpoint, converted)
    run_inside(monkeypatch, 'test.py', few, converted, '--work-dir', work / 'converted')
    again = [line for line in log_lines.of('INFO') if line.startswith('Iter(test)')][-1]
    assert all(f'{name}: {value:.4f}' in again for name, value in validated.items() if 'plain' not in name)
    other = write_class_config(tmp_path / 'other.py', trees / 'shards', 3, TINY[kind], sharded=3, more=SHORT)
    said = error_inside(monkeypatch, capsys, 'test.py', other, converted, '--work-dir', work / 'other')
    assert f'm0000, m0001, m0002 only in {converted}' in said
    arguments = dict(TINY[kind]['model_args'], num_classes=3, img_size=32)
    model = timm.create_model(TINY[kind]['model_name'], checkpoint_path=str(converted), **arguments)
    assert all(torch.equal(weight, average[f'network.{name}']) for name, weight in model.state_dict().items())
    settings = Config.fromfile(segmentor).model.backbone | dict(
        init_cfg=dict(type='Pretrained', checkpoint=str(converted)))
    with DefaultScope.overwrite_default_scope('mmseg'):
        backbone = MODELS.build(settings)
    backbone.init_weights()
    own = backbone.state_dict()
    assert all(torch.equal(own[name.removeprefix('backbone.')], weight) for name, weight in blocks.items())


def test_amp_and_other_dtypes(few, tmp_path, monkeypatch, log_lines):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU: --amp takes mmengine's AmpOptimWrapper")
    run_inside(monkeypatch, 'train.py', few, '--work-dir', tmp_path / 'work', '--amp')
    losses = [entry['loss'] for entry in logged(tmp_path / 'work') if 'loss' in entry]
    assert len(losses) == 4 and all(0 < loss < 10 for loss in losses)
    run_inside(monkeypatch, 'test.py', few, tmp_path / 'work' / 'iter_4.pth', '--work-dir', tmp_path / 'test',
               '--dtype', 'bf16')
    assert 'plain/memory_top1' in log_lines.of('INFO')[-1]


def test_a_checkpoint_of_other_classes_is_not_scored(few, trees, tmp_path, monkeypatch, capsys):
    """As many, in another order: each label would be another class."""
    run_inside(monkeypatch, 'train.py', few, '--work-dir', tmp_path / 'work')
    others = tmp_path / 'others'
    shutil.copytree(trees / 'few', others)
    for split in ('train', 'val'):
        (others / split / 'm0001').rename(others / split / 'x0001')
    checkpoint = tmp_path / 'work' / 'iter_4.pth'
    said = error_inside(monkeypatch, capsys, 'test.py', few, checkpoint, '--work-dir', tmp_path / 'test', '--data-root',
                        others)
    assert f'm0001 only in {checkpoint}; x0001 only in test_dataloader' in said
    said = error_inside(monkeypatch, capsys, 'train.py', few, '--work-dir', tmp_path / 'work', '--resume',
                        '--data-root', others)
    assert 'x0001 only in train_dataloader' in said


@pytest.mark.parametrize('setting,said', [
    ('model.num_classes=4', '3 classes (train_dataloader), the model has num_classes=4; set model.num_classes=3'),
    ('model.num_classes=1', 'model.num_classes must be a whole number from 2'),
    ('model.mixupp=1', 'did you mean mixup?'), ('model.loss=mse', 'loss must be one of'),
    ('model.model_name=vittm_tny_patch28_224', 'the nearest are vittm_tiny_patch28_224'),
    ('model.model_args.depht=3', 'did you mean depth?'), ('model.model_args.wings=3', 'wings'),
    ('model.img_size=-4', 'must be a size in pixels'), ('model.type=ImageClasifier', 'did you mean ImageClassifier?'),
    ('train_dataloader.dataset.pipeline.1.erasin=1', 'did you mean erasing?'),
    ('train_dataloader.dataset.pipeline.1.auto_augment=foo', 'timm.data.create_transform refuses an argument'),
    ('train_dataloader.dataset.type=ImageFolder', 'did you mean ImageFolders?'),
    ('train_dataloader.dataset.classes=none.txt', 'none.txt: no such file'),
    ('train_dataloader.sampler.type=PasSampler', 'did you mean PassSampler?'),
    ('train_dataloader.sampler.shuffle_shards=0', 'shuffle_shards must be a whole number from 1'),
    ('train_dataloader.batch_size=3', 'mixup and cutmix mix images in pairs'),
    ('val_dataloader.dataset.data_prefix.img_path=valid', 'few/valid: no such folder'),
    ('val_evaluator.type=TopAcuracy', 'did you mean TopAccuracy?'),
    ('model.model_args.in_chans=4', 'the model takes no images of 3 channels'),
    ('model.model_args.global_pool=', 'no scores of 3 classes'),
    ('train_dataloader.dataset.data_prefix.img_path=3', 'data_prefix must be dict(img_path=FOLDER)'),
    ('train_dataloader.dataset.data_prefix.img_path=[a,b]', 'data_prefix must be dict(img_path=FOLDER)'),
    ('train_dataloader.dataset.pipeline.1.ratio=[0,0]', 'ratio must be two numbers above 0'),
    ('val_dataloader.dataset.pipeline.1.std=[0,0,0]', 'std must be three numbers above 0'),
    ('val_dataloader.dataset.pipeline=[]', 'val_dataloader cannot be built (ValueError: its pipeline must begin with'),
    ('train_dataloader.dataset.pipeline.0.type=TimmTransform', 'its pipeline must begin with DecodeImage'),
    ('train_dataloader.collate_fn.type=pseudo_collate', 'give default_collate'),
    ('custom_hooks.0.momentum=2', 'custom_hooks.0 cannot be built'),
    ('custom_hooks.0.ema_type=Foo', 'custom_hooks.0 cannot be built'),
    ('val_evaluator.type=IoUMetric', 'IoUMetric scores segmentations'),
    ('model.data_preprocessor.type=SegDataPreProcessor', 'SegDataPreProcessor is no data_preprocessor for a'),
    ('total_batch_size=3', 'mixup and cutmix mix images in pairs'),
    ('val_dataloader.sampler.type=PassSampler', 'val_dataloader.sampler never ends')])
def test_wrong_settings_end_before_anything_is_written(setting, said, few, tmp_path, monkeypatch, capsys):
    work = tmp_path / 'work'
    assert said in error_inside(monkeypatch, capsys, 'train.py', few, '--work-dir', work, '--cfg-options', setting)
    assert not work.exists()


def test_a_plain_vits_images_are_of_its_size(trees, tmp_path, monkeypatch, capsys):
    config = write_class_config(tmp_path / 'vit.py', trees / 'few', model=TINY_VIT, more=SHORT)
    said = error_inside(monkeypatch, capsys, 'train.py', config, '--work-dir', tmp_path / 'work', '--cfg-options',
                        'model.img_size=48')
    assert 'images of 32 x 32 pixels for a model of 48 x 48' in said and not (tmp_path / 'work').exists()


def test_wrong_folders_and_other_classes_in_val(few, trees, tmp_path, monkeypatch, capsys):
    work = tmp_path / 'work'

    def said(root):
        return error_inside(monkeypatch, capsys, 'train.py', few, '--work-dir', work, '--data-root', root)
    assert 'none/train: no such folder; give --data-root DIR' in said(tmp_path / 'none')
    assert f'Did you mean --data-root={trees / "few"}?' in said(trees / 'few' / 'train')
    assert 'train: 6 classes (train_dataloader), the model has num_classes=3' in said(trees / 'many')
    root = tmp_path / 'root'
    shutil.copytree(trees / 'few', root)
    (root / 'val' / 'm0002').rename(root / 'val' / 'm0009')
    assert 'm0002 only in train_dataloader; m0009 only in val_dataloader' in said(root)
    shutil.rmtree(root / 'val')
    (root / 'val').mkdir()
    draw(0, 0).save(root / 'val' / 'ILSVRC2012_val_00000001.JPEG')
    assert 'no folders of classes in it, but files' in said(root)
    shutil.rmtree(root / 'train' / 'm0001')
    (root / 'train' / 'm0001').mkdir()
    shutil.rmtree(root / 'val')
    shutil.copytree(trees / 'few' / 'val', root / 'val')
    assert 'no images for 1 of 3 classes: m0001' in said(root)
    assert not work.exists()


def test_shards_through_the_tools(trees, tmp_path, monkeypatch, capsys):
    config = write_class_config(tmp_path / 'sharded.py', trees / 'shards', sharded=3, model=TINY_VITTM, more=SHORT)
    command = ('train.py', config, '--work-dir', tmp_path / 'work')
    said = error_inside(monkeypatch, capsys, *command, '--cfg-options',
                        'train_dataloader.dataset.shards=train-{0..4}.tar')
    assert 'train-3.tar: no such shard; 2 of 5 are missing' in said and '--data-root DIR' in said
    said = error_inside(monkeypatch, capsys, *command, '--cfg-options', 'train_dataloader.dataset.shards=3')
    assert 'shards must be a pattern' in said
    root = tmp_path / 'shards'
    shutil.copytree(trees / 'shards', root)
    (root / 'train-2.tar').write_bytes((root / 'train-2.tar').read_bytes()[:3000])
    assert 'train-2.tar: cannot be read as a shard' in error_inside(monkeypatch, capsys, *command, '--data-root', root)
    (root / 'classes.txt').write_text('a\nb\nc\nd\n')
    said = error_inside(monkeypatch, capsys, *command, '--data-root', root)
    assert '4 classes (train_dataloader), the model has num_classes=3' in said
    assert not (tmp_path / 'work').exists()
    run_inside(monkeypatch, *command)
    folders = write_class_config(tmp_path / 'folders.py', trees / 'few', model=TINY_VITTM, more=SHORT)
    said = error_inside(monkeypatch, capsys, 'test.py', folders, tmp_path / 'work' / 'iter_4.pth')
    assert 'n0000, n0001, n0002 only in' in said


def test_a_bad_image_is_named_or_skipped(trees, tmp_path, monkeypatch, capsys, log_lines):
    root = tmp_path / 'root'
    shutil.copytree(trees / 'few', root)
    config = write_class_config(tmp_path / 'bad.py', root, model=TINY_VITTM, more=SHORT)
    bad = [root / 'train' / 'm0001' / '3.JPEG', root / 'val' / 'm0000' / '1.JPEG']
    for path in bad:
        path.write_bytes(path.read_bytes()[:-30])
    command = ('train.py', config, '--work-dir', tmp_path / 'work', '--cfg-options')
    workers = 'train_dataloader.num_workers=2'
    assert f'{bad[0]}: truncated: ' in error_inside(monkeypatch, capsys, *command, workers)
    run_inside(monkeypatch, *command, 'train_dataloader.dataset.bad_data=skip', 'val_dataloader.dataset.bad_data=skip')
    assert any(f'These scores leave out 1 of 9 images, which are bad: {bad[1]}' in line
               for line in log_lines.of('WARNING'))
    assert any(line.startswith('Skipped') and str(bad[0]) in line for line in log_lines.of('WARNING'))


def test_what_is_for_segmentors(few, trees, tmp_path, monkeypatch, capsys):
    image = trees / 'few' / 'val' / 'm0000' / '0.JPEG'
    for words in (('infer.py', few, 'x.pth', image, '-o', tmp_path / 'out'), ('complexity.py', few),
                  ('benchmark.py', few), ('check_dataset.py', few)):
        said = error_inside(monkeypatch, capsys, *words)
        assert 'its model is a classifier, ImageClassifier, which only tools/train.py and tools/test.py take' in said
    for option in (['--tta'], ['--out', tmp_path / 'out'], ['--show-dir', tmp_path / 'out'], ['--compile']):
        said = error_inside(monkeypatch, capsys, 'test.py', few, 'x.pth', '--work-dir', tmp_path / 'work', *option)
        assert f'{option[0]}' in said and 'is for segmentors' in said and not (tmp_path / 'work').exists()


def test_the_small_config_to_try(trees, tmp_path, monkeypatch):
    config = ROOT / 'configs' / 'imagenet' / 'vittm_t_try.py'
    run_inside(monkeypatch, 'train.py', config, '--work-dir', tmp_path, '--data-root', trees / 'few', '--cfg-options',
               'model.num_classes=3', 'train_cfg.max_iters=1', 'train_cfg.val_interval=1', 'total_batch_size=4',
               'val_dataloader.batch_size=9', 'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
               'train_dataloader.persistent_workers=False', 'val_dataloader.persistent_workers=False')
    assert {'memory_top1', 'plain/process_top5'} <= set(scores_of(tmp_path))
