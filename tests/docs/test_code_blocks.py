"""The Python blocks of README.md and docs/ run, page by page; the command lines are such as the tools take."""
import ast
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from docs_pages import PAGES, blocks, command_lines, name_of, written_by
from tiny_models import ROOT

PYTHON_PAGES = [page for page in PAGES if any(block.language == 'python' and block.runs for block in blocks(page))]
BASH_PAGES = [page for page in PAGES if any(block.language == 'bash' for block in blocks(page))]
NOT_RUN = {'docs/inference.md': 1,  # bfloat16, compiled: minutes on a CPU
           'docs/distillation.md': 2}  # configs of what tools/autolabel.py writes, whose test trains them
# Pages speak of these configs; here the same files with a tiny backbone, 64 pixels, no workers.
TINY = """
_base_ = {base!r}
crop_size = (64, 64)
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(img_size=crop_size, arch=dict(embed_dims=48, num_layers=1, num_heads=3, mlp_ratio=4.0)),
    decode_head=dict(in_channels=96, channels=48, embed_dims=48, num_heads=3), {more})
"""
VIT = """
_base_ = {base!r}
crop_size = (64, 64)
model = dict(data_preprocessor=dict(size=crop_size), test_cfg=dict(crop_size=crop_size, stride=(48, 48)))
"""
STREAM = """
_base_ = {base!r}
model = dict(
    backbone=dict(arch=dict(embed_dims=48, num_layers=1, num_heads=3, mlp_ratio=4.0)),
    decode_head=dict(in_channels=96, channels=96), temporal=dict(in_channels=(48, 48)))
"""
# Begins every page's program, in an empty folder; then come its blocks.
PROLOGUE = """
import warnings
warnings.simplefilter('ignore')
import sys
sys.path.insert(0, '.')
"""
CONFIG_CHECK = """
import mmengine, mmseg.registry, mmseg_vittm
checked = mmengine.Config.fromfile({path!r})
with mmengine.registry.DefaultScope.overwrite_default_scope('mmseg'):
    mmseg.registry.MODELS.build(checked.model)
    for pipeline in (checked.train_dataloader.dataset.pipeline, checked.test_dataloader.dataset.pipeline):
        [mmseg.registry.TRANSFORMS.build(step) for step in pipeline]
    for hook in checked.get('custom_hooks', []):
        mmseg.registry.HOOKS.build(hook)
"""


@pytest.fixture(scope='module')
def stage(tmp_path_factory) -> Path:
    """A folder with what the pages name: configs, checkpoints that fit them, pictures."""
    import torch
    from mmengine import Config
    from mmengine.registry import DefaultScope
    from mmseg.registry import DATASETS, MODELS
    from PIL import Image

    import mmseg_vittm  # noqa: F401  (registers)
    folder = tmp_path_factory.mktemp('stage')
    (folder / 'configs').mkdir()
    slide = 'test_cfg=dict(crop_size=crop_size, stride=(48, 48))'
    toy = 'auxiliary_head=dict(in_channels=96, channels=96)'
    for name, text, more, checkpoint in (
            ('segmenter_vittm_b_ade20k.py', TINY, slide, 'checkpoint.pth'),
            ('segmenter_vittm_t_toy.py', TINY, toy, 'work_dirs/segmenter_vittm_t_toy/iter_600.pth'),
            ('video/toy_ttm.py', STREAM, '', 'work_dirs/toy_ttm/iter_600.pth'),
            ('segmenter_vit_b_ade20k.py', VIT, '', None)):
        path = folder / 'configs' / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(base=str(ROOT / 'configs' / name), more=more))
        if checkpoint:
            cfg = Config.fromfile(path)
            with DefaultScope.overwrite_default_scope('mmseg'):
                state = MODELS.build(cfg.model).state_dict()
                meta = DATASETS.get(cfg.test_dataloader.dataset.type).METAINFO
            (folder / checkpoint).parent.mkdir(parents=True, exist_ok=True)
            torch.save(dict(state_dict=state, meta=dict(dataset_meta=dict(meta))), folder / checkpoint)
    scene = 'data/toy_scenes/images/validation/Toy_val_00000001.jpg'
    frames = [(f'frames/{number:06d}.jpg', (96, 72)) for number in range(3)]
    for name, size in (*frames, ('street.jpg', (96, 72)), ('square.png', (64, 64)), (scene, (128, 128))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise(size, 60).convert('RGB').save(folder / name)
    (folder / 'no_image.txt').write_text('not a picture')
    return folder


def program_of(page: Path, folder: Path) -> str:
    """The blocks of a page as one program; those that begin with a file's name are written there instead."""
    program = [PROLOGUE]
    for block in blocks(page):
        if block.language != 'python' or not block.runs:
            continue
        first = block.text.split('\n')[0]
        if first.startswith('# ') and first.endswith('.py'):
            path = first[2:]
            (folder / path).write_text(block.text)
            program.append(CONFIG_CHECK.format(path=path) if path.startswith('configs/')
                           else f'import {Path(path).stem}\n')
        else:
            program.append(block.text)
    return '\n'.join(program)


@pytest.mark.parametrize('page', PYTHON_PAGES, ids=name_of)
def test_python_blocks_run(page, stage, tmp_path, run_python):
    folder = tmp_path / 'stage'
    shutil.copytree(stage, folder)
    done = run_python(program_of(page, folder), cwd=folder)
    assert done.returncode == 0, f'{name_of(page)}: {done.stderr[-3000:]}'


@pytest.mark.parametrize('page', PAGES, ids=name_of)
def test_blocks_that_do_not_run_are_counted_and_compile(page):
    python = [block for block in blocks(page) if block.language == 'python']
    for block in python:
        ast.parse(block.text)
    assert sum(not block.runs for block in python) == NOT_RUN.get(name_of(page), 0)
    languages = {block.language for block in blocks(page)}
    assert languages <= {'python', 'bash', 'bibtex', 'text'}  # text is what a command prints


class Parsed(Exception):
    """Arguments were parsed: the tool would begin."""


@pytest.mark.parametrize('page', BASH_PAGES, ids=name_of)
def test_command_lines_are_such_as_the_tools_take(page, monkeypatch):
    import argparse
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser, args=None, namespace=None):
        parse(parser, args, namespace)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_and_stop)
    for words in command_lines(page):
        if words[0] == 'python' and words[1].startswith(('tools/', 'benchmarks/')):
            name, arguments = words[1], words[2:]
        elif words[0] in ('tools/dist_train.sh', 'tools/slurm_train.sh'):  # all after the config is train.py's
            at = next(i for i, word in enumerate(words) if word.startswith('configs/'))
            name, arguments = 'tools/train.py', [words[at], *words[at + 2 - ('slurm' in words[0]):]]
        else:
            continue
        monkeypatch.setattr(sys, 'argv', [name, *arguments])
        with pytest.raises(Parsed):
            runpy.run_path(str(ROOT / name), run_name='__main__')


@pytest.mark.parametrize('page', BASH_PAGES, ids=name_of)
def test_paths_in_command_lines_are_there(page):
    written = {block.text.split('\n')[0][2:] for block in blocks(page) if block.language == 'python'}
    written |= written_by(page)
    ours = ('configs/', 'tools/', 'benchmarks/', 'docs/', 'tests/', '.ci/')
    for words in command_lines(page):
        for word in words:
            if word.startswith(ours) and word != 'docs/_build' and word not in written:
                assert (ROOT / word).exists(), f'{name_of(page)}: {word}'
