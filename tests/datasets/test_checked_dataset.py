"""`CheckedDataset`: bad files in training and testing are one error that names them, or passed over."""
import pickle

import pytest
from bad_files import FAULTS, dataset_config, spoil, write_set
from mmengine.runner import Runner

from mmseg_vittm.datasets import CheckedDataset
from mmseg_vittm.errors import DataError, InputError

pytestmark = pytest.mark.usefixtures('mmseg_scope')


def loader_of(dataset, workers: int = 0):
    return Runner.build_dataloader(dict(
        dataset=dataset, batch_size=2, num_workers=workers, sampler=dict(type='DefaultSampler', shuffle=False)), seed=0)


@pytest.mark.parametrize('fault,workers', [*((fault, 0) for fault in FAULTS), ('half an image', 1), ('no label', 1),
                                           ('label above the classes', 1)])
def test_every_fault_is_an_error_that_names_the_file(tmp_path, fault, workers):
    root = write_set(tmp_path / 'set')
    path, message = spoil(root, fault)
    with pytest.raises(DataError) as error:
        list(loader_of(dict(type='CheckedDataset', dataset=dataset_config(root)), workers))
    said = str(error.value)
    assert said.startswith(f'{path}: ') and message in said and '\n' not in said and '; ' in said


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


def test_annotations_without_image_are_told(tmp_path, log):
    root = write_set(tmp_path / 'set')
    (root / 'images/training/2.jpg').unlink()
    CheckedDataset(dataset_config(root))
    assert '1 annotations belong to no image' in log.read_text() and '2.png' in log.read_text()


def test_errors_of_other_transforms_name_the_image(good, monkeypatch):
    dataset = CheckedDataset(dataset_config(good))

    def broken(results):
        raise OSError('disk gone')
    monkeypatch.setattr(dataset.dataset, 'pipeline', broken)
    with pytest.raises(DataError, match=r'0.jpg: cannot be prepared \(OSError: disk gone\)'):
        dataset[0]


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
