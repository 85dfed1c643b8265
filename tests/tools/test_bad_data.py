"""Bad files in a data set, through the tools that train and test."""
import itertools
import os
import re

import pytest
from bad_files import spoil, write_run_config, write_set
from mmengine.runner import CheckpointLoader
from tiny_models import ROOT
from tool_inside import error_inside
from tool_runs import error_of, run_tool

BASE = ROOT / 'configs' / 'segmenter_vittm_t_toy.py'
ALL_FAULTS = 'MMSEG_VITTM_FAULTS' in os.environ  # of each tool, which takes minutes; a few of them otherwise
TOOL_FAULTS = ('image of zero bytes', 'half an image', 'text for image', 'label above the classes',
               'label of another size', 'RGB label', 'no label')


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A tiny model trained on good files: its checkpoint."""
    folder = tmp_path_factory.mktemp('trained')
    config = write_run_config(folder / 'run.py', write_set(folder / 'set'), BASE)
    run_tool('train.py', config, '--work-dir', folder / 'work')
    return folder / 'work' / 'iter_4.pth'


def options(workers: int) -> list[str]:
    return ['--cfg-options', *(f'{split}_dataloader.num_workers={workers}' for split in ('train', 'val', 'test'))]


def spoilt_run(tmp_path, trained, split: str, fault: str) -> tuple[list, str, str]:
    """A command that meets a fault in a split; the file that has it, and a part of the message."""
    root = write_set(tmp_path / 'set')
    path, message = spoil(root, fault, 'training' if split == 'train' else 'validation')
    config = write_run_config(tmp_path / 'run.py', root, BASE)
    tool = ['test.py', config, trained] if split == 'test' else ['train.py', config]
    return [*tool, '--work-dir', tmp_path / 'work'], str(path), message


@pytest.mark.slow
@pytest.mark.parametrize('split,fault,workers', [
    case for n, case in enumerate(itertools.product(['train', 'val', 'test'], TOOL_FAULTS, [0, 2]))
    if ALL_FAULTS or n % 17 == 0])
def test_tools_name_every_fault(tmp_path, trained, monkeypatch, capsys, split, fault, workers):
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    command, path, message = spoilt_run(tmp_path, trained, split, fault)
    said = error_inside(monkeypatch, capsys, *command, *options(workers))
    assert path in said and message in said


@pytest.mark.parametrize('workers,split', [(2, 'train'), (0, 'val'), (2, 'test')])
def test_a_tool_ends_with_one_line(tmp_path, trained, workers, split):
    command, path, message = spoilt_run(tmp_path, trained, split, 'half an image')
    done = run_tool(*command, *options(workers), succeeds=False)
    said = error_of(done)
    assert path in said and message in said and done.stderr.rstrip().splitlines()[-1] == said


def test_skipping_through_the_tools(tmp_path, trained):
    root = write_set(tmp_path / 'set')
    image, _ = spoil(root, 'half an image')
    label, _ = spoil(root, 'label above the classes', 'validation')
    config = write_run_config(tmp_path / 'run.py', root, BASE)
    done = run_tool('train.py', config, '--work-dir', tmp_path / 'work', *options(1),
                    'train_dataloader.dataset.bad_data=skip', 'val_dataloader.dataset.bad_data=skip')
    said = done.stdout + done.stderr
    assert [len(re.findall(f'Skipped.*{path}', said)) for path in (image, label)] == [1, 1], said[-3000:]
    assert 'These scores leave out 1 of 4 images' in said and 'images_left_out: 1' in said


def test_folders_before_anything_starts(tmp_path, monkeypatch, capsys):
    root = write_set(tmp_path / 'set')
    for path in (root / 'annotations/validation').iterdir():
        path.unlink()
    config = write_run_config(tmp_path / 'run.py', root, BASE)
    said = error_inside(monkeypatch, capsys, 'train.py', config, '--work-dir', tmp_path / 'work')
    assert 'annotations/validation: the folder is empty' in said
