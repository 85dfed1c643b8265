"""configs/ablations: each row of the paper's Tables 1 to 4 has one config, which builds its model and trains."""
import re
import warnings
from functools import partial

import pytest
import torch
from class_images import write_tree
from mmengine.config import Config
from mmseg.registry import MODELS, TRANSFORMS
from timm.layers import DropPath
from tiny_models import ROOT
from tool_inside import run_inside
from tool_runs import logged
from torch import nn

from mmseg_vittm.classification.networks import build_network
from mmseg_vittm.commands.configs.checks import check_config
from mmseg_vittm.commands.trial.traceless import build_on_meta
from mmseg_vittm.measure.complexity.paper import TABLES, Row

FOLDER, BASE = ROOT / 'configs' / 'ablations', ROOT / 'configs' / '_base_' / 'imagenet' / 'in1k_scratch.py'
NAMES = sorted(path.stem for path in FOLDER.glob('*.py'))
ROWS = [row for table in (1, 2, 3, 4) for row in TABLES[table]]
FIRST_LINE = re.compile(r"# Table (?P<table>\d), (?P<row>.+): the paper's top-1 accuracy is (?P<top1>[\d.]+) %\.")
# Models of few weights, which keep what a row is about: its patches, its heads with their latent dims, its fusion.
SMALL = dict(embed_dim=24, depth=1, num_heads=3)


def load(name: str) -> Config:
    cfg = Config.fromfile(FOLDER / f'{name}.py')
    cfg.filename = name
    return cfg


def said(name: str) -> re.Match:
    """What a config's first line says of its row."""
    return FIRST_LINE.fullmatch((FOLDER / f'{name}.py').read_text(encoding='utf-8').splitlines()[0])


def structure(network: nn.Module) -> tuple:
    """All that tells models apart: kinds of parts, attention heads, shapes of weights, and where they are tried."""
    parts = [(name, type(part), getattr(part, 'num_heads', None)) for name, part in network.named_modules()
             if not isinstance(part, (DropPath, nn.Identity))]
    encoder = getattr(network, 'encoder', None)
    sizes = encoder and (encoder.img_size, encoder.process_patch_size, encoder.memory_patch_size, encoder.process_init)
    return parts, {name: weight.shape for name, weight in network.named_parameters()}, sizes


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.fixture(scope='module')
def rows() -> list[tuple[Row, nn.Module]]:
    return [(row, build_on_meta(row.build)) for row in ROWS]


@pytest.fixture(scope='module')
def networks() -> dict[str, nn.Module]:
    found = {}
    for name in NAMES:
        model = load(name).model
        found[name] = build_on_meta(partial(build_network, model.model_name, model.num_classes, model.img_size,
                                            model.drop_path_rate, model.get('model_args')))
    return found


def test_each_row_has_one_config(rows, networks):
    """By the table that a config names and by the model that it builds, whatever the names of files and rows."""
    assert len(NAMES) == len(ROWS) == 30
    found = []
    for name, network in networks.items():
        own = structure(network)
        matching = [row for row, model in rows if row.table == int(said(name)['table']) and structure(model) == own]
        assert len(matching) == 1, f'{name}: the model of {[row.name for row in matching]}'
        row = matching[0]
        assert said(name)['row'] == row.name and float(said(name)['top1']) == row.top1, name
        assert name.startswith(f'table{row.table}_')
        found.append((row.table, row.name))
    assert sorted(found) == sorted((row.table, row.name) for row in ROWS)


def test_sizes_are_the_rows(rows, networks):
    sizes = {(row.table, row.name): count(model) for row, model in rows}
    for name, network in networks.items():
        assert count(network) == sizes[int(said(name)['table']), said(name)['row']], name


def test_options_are_the_rows():
    """As the config says them, those of a timm name included."""
    presets = dict(vittm_small_patch28_224=dict(arch='small'), vittm_base_patch32_16_224=dict(
        arch='base', process_patch_size=32, memory_patch_size=16))
    defaults = dict(read_write_head='linear', fusion='add', memory_mlp_ratio=None)
    rows = {(row.table, row.name): row for row in ROWS}
    for name in NAMES:
        row, model = rows[int(said(name)['table']), said(name)['row']], load(name).model
        if row.vit:
            assert model.model_name == row.vit and not model.get('model_args'), name
        else:
            assert defaults | presets[model.model_name] | model.model_args.to_dict() == defaults | row.arguments, name


def test_a_model_of_two_tables_is_inherited(networks):
    """Table 2's row d is in Tables 3 and 4 too, and nothing else is there twice."""
    assert structure(networks['table3_49_196']) == structure(networks['table4_mlp_none']) == structure(
        networks['table2_latent_768'])
    for name in ('table3_49_196', 'table4_mlp_none'):
        lines = (FOLDER / f'{name}.py').read_text(encoding='utf-8').splitlines()
        assert [line for line in lines if not line.startswith('#')] == ["_base_ = './table2_latent_768.py'"]
        assert lines[1].startswith("# The model of Table 2's row d, which has 78.3 % there")
    others = [structure(network) for name, network in networks.items()
              if name not in ('table3_49_196', 'table4_mlp_none')]
    assert not any(one == other for i, one in enumerate(others) for other in others[:i])


def test_one_recipe_for_all():
    base = Config.fromfile(BASE).to_dict()
    for name in NAMES:
        cfg = load(name)
        for job in ('train', 'test'):
            check_config(cfg, job)
        own = Config.fromfile(FOLDER / f'{name}.py').to_dict()
        for part in ('model_name', 'model_args'):
            own['model'].pop(part, None)
        assert own == base, name
        assert not own['load_from'] and 'init_cfg' not in own['model']


def test_the_recipe():
    """DeiT's, from random weights, and said to be our assumption."""
    cfg, images, batch = Config.fromfile(BASE), 1281167, 1024
    assert (cfg.model.num_classes, cfg.model.img_size, cfg.model.drop_path_rate) == (1000, 224, 0.1)
    assert (cfg.model.loss, cfg.model.label_smoothing, cfg.model.mixup, cfg.model.cutmix) == (
        'cross_entropy', 0.1, 0.8, 1.0)
    assert cfg.total_batch_size == cfg.train_dataloader.batch_size == batch and cfg.data_root == 'data/imagenet'
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 5e-4 * batch / 512, 0.05)
    rising, cosine = cfg.param_scheduler
    begin, end = 5 * images // batch, 300 * images // batch
    assert (rising.begin, rising.end, cosine.begin, cosine.end, cosine.T_max) == (0, begin, begin, end, end - begin)
    assert rising.start_factor * optimizer.lr == pytest.approx(1e-6) and cosine.eta_min == 1e-5
    assert cfg.train_cfg.max_iters == end and cfg.default_hooks.checkpoint.interval == images // batch
    assert cfg.train_dataloader.dataset.pipeline == cfg.train_pipeline
    for step in cfg.train_pipeline:
        TRANSFORMS.build(step)
    step = cfg.train_pipeline[1]
    assert (step.image_size, step.auto_augment, step.erasing) == (224, 'rand-m9-n2-mstd0.5-inc1', 0.25)
    docs = (ROOT / 'docs' / 'imagenet.md').read_text(encoding='utf-8')
    for text in (BASE.read_text(encoding='utf-8'), docs):
        assert 'our assumption' in text


@pytest.mark.parametrize('name', NAMES)
def test_each_row_learns(name):
    """On images of 224 pixels, as heads and fusions that fix the number of tokens need; without a warning."""
    torch.manual_seed(0)
    settings = load(name).model | dict(num_classes=3)
    settings.model_args = dict(settings.get('model_args', {}), **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        model = MODELS.build(settings).train()
        losses = model(torch.randn(2, 3, 224, 224), torch.tensor([0, 2]), mode='loss')
        sum(losses.values()).backward()
    assert set(losses) == ({'loss'} if 'vit_b' in name else {'loss_process', 'loss_memory'})
    assert all(loss.isfinite() for loss in losses.values())
    for part, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), part


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp('images'), train=3, val=1)


@pytest.mark.parametrize('name', [
    'table1_token_summary_add_erase', 'table2_latent_384', 'table3_16_256', 'table3_vit_b_32', 'table4_mlp_0_5'])
def test_one_of_each_table_trains(name, images, tmp_path, monkeypatch):
    monkeypatch.setattr(Config, 'pretty_text', property(lambda config: 'max_iters = 0'))  # most of the time, else
    run_inside(
        monkeypatch, 'train.py', FOLDER / f'{name}.py', '--data-root', images, '--work-dir', tmp_path, '--cfg-options',
        *(f'model.model_args.{option}={value}' for option, value in SMALL.items()),
        'model.num_classes=3', 'total_batch_size=4', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2',
        'val_dataloader.batch_size=3', 'default_hooks.logger.interval=1',
        *(f'{loader}.{option}' for loader in ('train_dataloader', 'val_dataloader')
          for option in ('num_workers=0', 'persistent_workers=False', 'pin_memory=False')))
    entries = logged(tmp_path)
    assert sum('loss' in entry for entry in entries) == 2 and all(
        0 < entry['loss'] < 10 for entry in entries if 'loss' in entry)
    assert ('top1' if 'vit_b' in name else 'memory_top1') in entries[-1]
