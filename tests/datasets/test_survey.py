"""The survey of a data set: every fault is found, nothing else, and classes are counted."""
import os

import numpy as np
import pytest
from bad_files import FAULTS, dataset_config, splits_config, spoil, write_set
from mmengine.config import Config, ConfigDict
from PIL import Image

from mmseg_vittm.datasets.listing import check_folders
from mmseg_vittm.datasets.survey import ALL, survey
from mmseg_vittm.errors import DataError

DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def look(root, workers: int = 1, num_classes=None, **more):
    calls = []
    found = survey(splits_config(root, **more), DATALOADERS, num_classes, workers, lambda *call: calls.append(call))
    assert [call[0] for call in calls] == list(range(1, len(calls) + 1))
    return found


def test_good_files_and_the_histogram(tmp_path):
    root = write_set(tmp_path)
    found = look(root, 2)
    assert found.faults == [] and found.files == 16  # validation and test are the same files
    labels = [np.asarray(Image.open(path)) for path in root.glob('annotations/*/*.png')]
    expected = sum(np.bincount(label.ravel(), minlength=256) for label in labels)
    assert found.classes == ['sky', 'road', 'tree'] and found.pixels[ALL].tolist() == expected[:3].tolist()
    assert found.ignored == expected[255] == 8 * 4
    assert found.images[ALL].tolist() == [8] * 3 and found.images['val'].tolist() == [4] * 3


@pytest.mark.parametrize('fault', FAULTS)
def test_every_fault_is_found_and_nothing_else(tmp_path, fault):
    root = write_set(tmp_path)
    path, message = spoil(root, fault, 'validation', 2)
    (found, ) = look(root).faults
    assert found.file == str(path) and message in found.problem and found.remedy


def test_all_faults_at_once(tmp_path):
    root = write_set(tmp_path, len(FAULTS) + 1)
    expected = {str(spoil(root, fault, number=number)[0]) for number, fault in enumerate(FAULTS)}
    (root / 'images/training' / f'{len(FAULTS)}.jpg').unlink()
    expected.add(str(root / 'annotations/training' / f'{len(FAULTS)}.png'))
    faults = look(root, 2).faults
    assert {fault.file for fault in faults} == expected and len(faults) == len(expected)
    assert [fault.problem for fault in faults if 'without image' in fault.problem]


def test_both_files_of_a_pair_are_reported(tmp_path):
    root = write_set(tmp_path)
    files = {str(spoil(root, fault)[0]) for fault in ('half an image', 'RGB label')}
    assert {fault.file for fault in look(root).faults} == files


def test_damage_within_a_jpeg(tmp_path):
    root = write_set(tmp_path, size=(256, 256))
    path = root / 'images/training/0.jpg'
    content = path.read_bytes()
    path.write_bytes(content[:len(content) // 2] + content[len(content) // 2 + 5000:])
    (fault, ) = look(root).faults
    assert fault.file == str(path) and 'Corrupt JPEG data' in fault.problem


def test_labels_as_the_dataset_has_them(tmp_path):
    root = write_set(tmp_path)
    for path in root.glob('annotations/*/*.png'):
        label = np.asarray(Image.open(path))
        Image.fromarray(np.where(label == 255, 0, label + 1).astype(np.uint8)).save(path)
    plain, reduced = look(root), look(root, reduce_zero_label=True)
    assert len(plain.faults) == 8 and all('label 3' in fault.problem for fault in plain.faults)
    assert reduced.faults == [] and reduced.ignored == 32
    # ADE20K counts from 1 too: wall, building, sky; of these only building is asked for
    mapped = look(root, type='ADE20KDataset', metainfo=dict(classes=('building', 'floor')))
    assert mapped.faults == [] and mapped.classes == ['building', 'floor']
    assert mapped.pixels[ALL].tolist() == [reduced.pixels[ALL][1], 0]


def test_wrappers_lists_and_suffixes(tmp_path):
    first, second = write_set(tmp_path / 'a'), write_set(tmp_path / 'b', suffix='.png')
    (first / 'some.txt').write_text('0\n3\n')
    path, _ = spoil(first, 'half a label', number=3)
    spoil(first, 'half a label', number=1)  # not listed
    cfg = Config(dict(train_dataloader=dict(dataset=dict(type='RepeatDataset', times=5, dataset=dict(
        type='ConcatDataset', datasets=[dataset_config(first, ann_file='some.txt'),
                                        dataset_config(second, img_suffix='.png')])))))
    found = survey(cfg, ('train_dataloader', ), None, 1, lambda *call: None)
    assert [fault.file for fault in found.faults] == [str(path)] and found.files == 2 * (2 + 4)


def test_different_classes_are_counted_by_name(tmp_path):
    root = write_set(tmp_path)
    cfg = splits_config(root)
    cfg.val_dataloader.dataset.metainfo.classes = ('tree', 'sky', 'hill')
    found = survey(cfg, DATALOADERS[:2], None, 1, lambda *call: None)
    assert found.classes == ['sky', 'road', 'tree', 'hill']
    val = found.pixels[ALL] - found.pixels['train']
    assert val.tolist() == found.pixels['val'].tolist() and not val[1] and all(val[[0, 2, 3]])


def test_classes_unknown_to_the_dataset_are_the_models(tmp_path):
    root = write_set(tmp_path)
    found = look(root, num_classes=2, metainfo=None)
    assert len(found.faults) == 8 and found.classes == ['0', '1']


def test_folders(tmp_path):
    root = write_set(tmp_path)
    for path in (root / 'images/validation').iterdir():
        path.unlink()
    (fault, ) = look(root).faults
    assert fault.file == str(root / 'images/validation') and 'the folder is empty' in fault.problem
    (root / 'images/validation/notes.txt').write_text('x')
    (fault, ) = look(root).faults
    assert "no image ending in '.jpg'" in fault.problem


def test_a_crash_is_a_fault_of_its_file(tmp_path, monkeypatch):
    root = write_set(tmp_path)
    monkeypatch.setattr('mmseg_vittm.datasets.survey.look_at', lambda sample: os._exit(
        9) if sample.info['img_path'].endswith('training/2.jpg') else ([], None))
    (fault, ) = look(root, 2).faults
    assert fault.file == str(root / 'images/training/2.jpg') and 'ends the process (exit status 9)' in fault.problem


@pytest.mark.parametrize('changes', [dict(data_root=5), dict(data_prefix=5), dict(data_prefix=dict(img_path=5)),
                                     dict(data_root='x' * 300), dict(data_root='x/' * 2100),
                                     dict(type='ToyScenes', data_root='x' * 300), dict(type='ToyScenes', data_root=5)])
def test_a_data_root_that_is_none(changes):
    with pytest.raises(DataError, match='data_root'):
        check_folders(ConfigDict(dict(type='BaseSegDataset', data_root='.', data_prefix=dict(img_path='.')) | changes),
                      'train_dataloader')
