"""Bad files in training and testing: one error that names them, or passed over; good files as MMSegmentation's."""
import itertools
import logging
import os
import pickle
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bad_files import FAULTS, dataset_config, spoil, write_run_config, write_set
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader, Runner
from mmseg.registry import DATASETS
from PIL import Image
from tiny_models import ROOT
from tool_inside import error_inside
from tool_runs import error_of, run_tool

from mmseg_vittm.datasets import CheckedDataset
from mmseg_vittm.datasets.image_files import damage
from mmseg_vittm.engine.checked_data import use_checked_data
from mmseg_vittm.errors import DataError, InputError

BASE = ROOT / 'configs' / 'segmenter_vittm_t_toy.py'
ALL_FAULTS = 'MMSEG_VITTM_FAULTS' in os.environ  # through the tools, minutes; a few of them otherwise


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp('good'))


def loader_of(dataset, workers: int = 0):
    return Runner.build_dataloader(dict(
        dataset=dataset, batch_size=2, num_workers=workers, sampler=dict(type='DefaultSampler', shuffle=False)), seed=0)


def same(ours, theirs):
    assert torch.equal(ours['inputs'], theirs['inputs']) and ours['inputs'].dtype == theirs['inputs'].dtype
    ours, theirs = ours['data_samples'], theirs['data_samples']
    assert torch.equal(ours.gt_sem_seg.data, theirs.gt_sem_seg.data)
    assert ours.gt_sem_seg.data.dtype == theirs.gt_sem_seg.data.dtype
    assert ours.metainfo == theirs.metainfo


def test_good_files_give_the_pixels_of_mmsegmentation(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ('images/training', 'annotations/training'):
        (tmp_path / folder).mkdir(parents=True)
    count = 0
    for mode in ('RGB', 'L', 'CMYK', 'P'):
        for label_mode in ('L', 'P', '1', 'I;16'):
            for progressive in (False, True):
                image = Image.fromarray(rng.integers(0, 256, (37, 51, 3), dtype=np.uint8)).convert(mode)
                image.save(tmp_path / f'images/training/{count}.jpg', 'PNG' if mode == 'P' else 'JPEG',
                           **dict(progressive=progressive) if mode != 'P' else {})
                label = rng.integers(0, 2 if label_mode == '1' else 6, (37, 51), dtype=np.uint8)
                label[0, :5] = 255 if label_mode != '1' else 1
                picture = Image.fromarray(label.astype(np.uint16) if label_mode == 'I;16' else label)
                if label_mode == 'P':
                    picture.putpalette(list(range(256)) * 3)
                if label_mode == '1':
                    picture = Image.fromarray(label.astype(bool))
                picture.save(tmp_path / f'annotations/training/{count}.png')
                count += 1
    for more in (dict(), dict(reduce_zero_label=True),
                 dict(type='ADE20KDataset', metainfo=dict(classes=('floor', 'building', 'wall')))):
        config = dataset_config(tmp_path, **dict(metainfo=dict(classes=[*'abcdef'])) | more)
        stock, checked = DATASETS.build(config), CheckedDataset(config)
        assert len(stock) == len(checked) == count and checked.metainfo == stock.metainfo
        for i in range(count):
            same(checked[i], stock[i])


def test_real_pairs_give_the_pixels_of_mmsegmentation(shared):
    config = dataset_config(shared / 'ade20k_sample' / 'ADEChallengeData2016', type='ADE20KDataset')
    del config['metainfo']
    stock, checked = DATASETS.build(config), CheckedDataset(config)
    for i in range(3):
        same(checked[i], stock[i])


@pytest.mark.parametrize('fault,workers', [*((fault, 0) for fault in FAULTS), ('half an image', 1), ('no label', 1),
                                           ('label above the classes', 1)])
def test_every_fault_is_an_error_that_names_the_file(tmp_path, fault, workers):
    root = write_set(tmp_path / 'set')
    path, message = spoil(root, fault)
    with pytest.raises(DataError) as error:
        list(loader_of(dict(type='CheckedDataset', dataset=dataset_config(root)), workers))
    said = str(error.value)
    assert said.startswith(f'{path}: ') and message in said and '\n' not in said and '; ' in said


def test_inside_wrappers_and_test_time_augmentation(tmp_path):
    root = write_set(tmp_path / 'set')
    path, message = spoil(root, 'label above the classes')
    tta = [dict(type='LoadImageFromFile'), dict(type='TestTimeAug', transforms=[
        [dict(type='Resize', scale_factor=1.0, keep_ratio=True)], [dict(type='LoadAnnotations')],
        [dict(type='PackSegInputs')]])]
    for config in (dict(type='RepeatDataset', times=2, dataset=dataset_config(root)),
                   dict(type='ConcatDataset', datasets=[dataset_config(root, 'validation'), dataset_config(root)]),
                   dataset_config(root, pipeline=tta)):
        dataset = CheckedDataset(config)
        with pytest.raises(DataError, match=re.escape(str(path))):
            [dataset[i] for i in range(len(dataset))]


def test_folders(tmp_path, good):
    (tmp_path / 'images/training').mkdir(parents=True)
    (tmp_path / 'annotations/training').mkdir(parents=True)
    with pytest.raises(DataError, match="images/training: no image ending in '.jpg' for BaseSegDataset"):
        CheckedDataset(dataset_config(tmp_path))
    with pytest.raises(DataError, match="no image ending in '.tif'"):
        CheckedDataset(dict(type='ConcatDataset', datasets=[
            dataset_config(good), dataset_config(good, img_suffix='.tif')]))
    with pytest.raises(InputError, match='none.txt'):
        CheckedDataset(dataset_config(good, ann_file='none.txt'))


def test_files_listed_but_not_there(tmp_path):
    root = write_set(tmp_path / 'set')
    (root / 'list.txt').write_text('0\n1\ngone\n')
    with pytest.raises(DataError, match='gone.png: no such file; add the annotation'):
        CheckedDataset(dataset_config(root, ann_file='list.txt'))
    (root / 'annotations/training/gone.png').write_bytes((root / 'annotations/training/0.png').read_bytes())
    with pytest.raises(DataError, match='gone.jpg: no such file'):
        CheckedDataset(dataset_config(root, ann_file='list.txt'))[2]


def test_annotations_without_image_are_told(tmp_path, caplog):
    root = write_set(tmp_path / 'set')
    (root / 'images/training/2.jpg').unlink()
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    CheckedDataset(dataset_config(root))
    logger.removeHandler(caplog.handler)
    assert '1 annotations belong to no image' in caplog.text and '2.png' in caplog.text


def test_labels_as_the_dataset_counts_them(tmp_path):
    root = write_set(tmp_path / 'set')
    label = root / 'annotations/training/1.png'
    Image.fromarray(np.full((40, 32), 3, np.uint8)).save(label)
    with pytest.raises(DataError, match='reduce_zero_label=True where 0 means unlabelled'):
        CheckedDataset(dataset_config(root))[1]
    CheckedDataset(dataset_config(root, reduce_zero_label=True))[1]
    Image.fromarray(np.full((40, 32), 4, np.uint8)).save(label)
    with pytest.raises(DataError, match=r'label 4 in 1280 pixels.* 0 \(ignored\), 1 to 3'):
        CheckedDataset(dataset_config(root, reduce_zero_label=True))[1]
    CheckedDataset(dataset_config(root, ignore_index=4))[1]
    config = dataset_config(root)
    del config['metainfo']
    with pytest.raises(DataError, match='above the 2 classes'):
        CheckedDataset(config, num_classes=2)[1]
    with pytest.raises(InputError, match="3 classes, the model's decode_head num_classes=2"):
        CheckedDataset(dataset_config(root), num_classes=2)
    CheckedDataset(dataset_config(root), num_classes=2, test_mode=True)


def test_unlike_reduce_zero_label_is_one_sentence(good):
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', reduce_zero_label=True)]
    with pytest.raises(InputError, match='reduce_zero_label=True, its dataset BaseSegDataset False'):
        CheckedDataset(dataset_config(good, pipeline=pipeline))


def test_errors_of_other_loaders_name_the_image(good, monkeypatch):
    dataset = CheckedDataset(dataset_config(good))

    def broken(results):
        raise OSError('disk gone')
    monkeypatch.setattr(dataset.dataset, 'pipeline', broken)
    with pytest.raises(DataError, match=r'0.jpg: cannot be prepared \(OSError: disk gone\)'):
        dataset[0]


def test_every_cut_of_a_file_is_seen(good):
    for path in (good / 'images/training/0.jpg', good / 'annotations/training/0.png'):
        content = path.read_bytes()
        assert damage(content) is None and damage(content + b'trailing') is None
        cuts = range(8, len(content))
        assert all(damage(content[:cut]) for cut in cuts), path
    thumbnail = b'\xff\xe1\x00\x08' + b'\xff\xda\xff\xd9\x00\x00'  # a segment that holds a whole picture's markers
    jpeg = (good / 'images/training/0.jpg').read_bytes()
    assert damage(jpeg[:2] + thumbnail + jpeg[2:]) is None
    assert damage(jpeg[:2] + thumbnail + jpeg[2:-2])


def test_error_keeps_its_parts_between_processes():
    error = DataError('a\nb.png', 'bad', 'mend it')
    assert str(error) == 'a\\nb.png: bad; mend it'
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.problem) == (str(error), 'bad')
    rebuilt = DataError(f'Caught DataError in DataLoader worker process 0.\nOriginal Traceback:\n  x\n'
                        f'mmseg_vittm.errors.DataError: {error}\n')
    assert str(rebuilt) == str(error)


class Records(logging.Handler):
    """Gathers log lines of this process and, through a file, of workers."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def emit(self, record):
        with open(self.path, 'a') as file:
            file.write(record.getMessage() + '\n')


@pytest.fixture
def log(tmp_path):
    handler, logger = Records(tmp_path / 'log.txt'), MMLogger.get_current_instance()
    handler.path.touch()
    logger.addHandler(handler)
    yield handler.path
    logger.removeHandler(handler)


@pytest.mark.parametrize('workers', [0, 2])
def test_skipping_takes_the_next_and_logs_once(tmp_path, log, workers):
    root = write_set(tmp_path / 'set')
    path, message = spoil(root, 'half a label', number=1)
    spoil(root, 'no label', number=2)
    loader = loader_of(dict(type='CheckedDataset', dataset=dataset_config(root), bad_data='skip'), workers)
    for _ in range(3):
        taken = [sample.img_path[-5:] for batch in loader for sample in batch['data_samples']]
        assert taken == ['0.jpg', '3.jpg', '3.jpg', '3.jpg']
    lines = [line for line in log.read_text().splitlines() if line.startswith('Skipped')]
    assert len(lines) == 2 and any(str(path) in line and message in line for line in lines)


@pytest.mark.parametrize('workers', [0, 1])
def test_skipping_has_a_bound(tmp_path, workers):
    root = write_set(tmp_path / 'set')
    for number in (0, 1, 2):
        spoil(root, 'half an image', number=number)
    config = dict(type='CheckedDataset', dataset=dataset_config(root), bad_data='skip')
    list(loader_of(dict(config, max_skipped=3), workers))
    with pytest.raises(InputError) as error:
        list(loader_of(dict(config, max_skipped=2), workers))
    assert all(f'images/training/{number}.jpg' in str(error.value) for number in (0, 1, 2))
    assert 'max_skipped=2' in str(error.value) and '\n' not in str(error.value)
    spoil(root, 'half an image', number=3)
    with pytest.raises(InputError, match='every sample is bad'):
        list(loader_of(dict(config, max_skipped=4), workers))


@pytest.mark.parametrize('option', [dict(bad_data='ignore'), dict(max_skipped=-1), dict(max_skipped='many')])
def test_options_are_checked(good, option):
    with pytest.raises(InputError, match=str(next(iter(option.values())))):
        CheckedDataset(dataset_config(good), **option)


def test_testing_leaves_out(tmp_path, log):
    root = write_set(tmp_path / 'set')
    spoil(root, 'RGB label', 'validation', 2)
    dataset = CheckedDataset(dataset_config(root, 'validation'), bad_data='skip', test_mode=True)
    assert [dataset.get_data_info(i)['img_path'][-5:] for i in range(len(dataset))] == ['0.jpg', '1.jpg', '3.jpg']
    assert [dataset[i]['data_samples'].img_path[-5:] for i in range(3)] == ['0.jpg', '1.jpg', '3.jpg']
    assert [path[-5:] for path in dataset.left_out] == ['2.jpg'] and '2.png' in log.read_text()


def test_workers_may_be_spawned(good):
    dataset = pickle.loads(pickle.dumps(CheckedDataset(dataset_config(good), bad_data='skip')))
    assert len(dataset) == 4 and dataset[1]['data_samples'].gt_sem_seg.shape == (40, 32)


def test_every_loader_of_a_runner_is_wrapped(good):
    train = dict(dataset=dataset_config(good, bad_data='skip', max_skipped=3))
    val = dict(dataset=dict(type='CheckedDataset', dataset=dataset_config(good), bad_data='skip'))
    hooks, cfg = [], Config(dict(model=dict(decode_head=[dict(num_classes=2), dict(num_classes=3)])))
    runner = SimpleNamespace(_train_dataloader=train, _val_dataloader=val, _test_dataloader=None, cfg=cfg,
                             register_hook=hooks.append)
    use_checked_data(runner)
    wrapped = runner._train_dataloader['dataset']
    assert (wrapped['bad_data'], wrapped['max_skipped'], wrapped['test_mode'], wrapped['num_classes']) == (
        'skip', 3, False, 3)
    assert wrapped['dataset'] == dataset_config(good) and train['dataset']['bad_data'] == 'skip'  # the config is kept
    assert runner._val_dataloader['dataset']['test_mode'] and runner._test_dataloader is None
    assert [type(hook).__name__ for hook in hooks] == ['LeftOutHook']
    assert isinstance(DATASETS.build(wrapped), CheckedDataset)


# Through the tools.


@pytest.fixture(scope='module')
def trained(tmp_path_factory, good):
    """A tiny model trained on good files: its checkpoint."""
    folder = tmp_path_factory.mktemp('trained')
    config = write_run_config(folder / 'run.py', good, BASE)
    run_tool('train.py', config, '--work-dir', folder / 'work')
    return folder / 'work' / 'iter_4.pth'


TOOL_FAULTS = ('image of zero bytes', 'half an image', 'text for image', 'label above the classes',
               'label of another size', 'RGB label', 'no label')


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


