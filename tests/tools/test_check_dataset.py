"""`tools/check_dataset.py`: what it finds, says and ends with."""
import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from bad_files import FAULTS, dataset_config, spoil, write_set
from mmengine.config import Config
from PIL import Image
from tiny_models import ROOT
from tool_inside import error_inside
from tool_runs import run_tool

from mmseg_vittm.datasets.class_histogram import histogram_files, histogram_table
from mmseg_vittm.datasets.crash_proof import Died, run_in_processes
from mmseg_vittm.datasets.survey import ALL, survey

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def config_of(root, **more) -> Config:
    val = dict(dataset=dataset_config(root, 'validation', **more))
    return Config(dict(train_dataloader=dict(dataset=dataset_config(root, **more)), val_dataloader=val,
                       test_dataloader=val))


def look(root, workers: int = 1, num_classes=None, **more):
    calls = []
    found = survey(config_of(root, **more), LOADERS, num_classes, workers, lambda *call: calls.append(call))
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
    cfg = config_of(root)
    cfg.val_dataloader.dataset.metainfo.classes = ('tree', 'sky', 'hill')
    found = survey(cfg, LOADERS[:2], None, 1, lambda *call: None)
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


class Crash:
    """A task that kills its process on some items."""

    def __call__(self, number):
        if number in (2, 5):
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number


@pytest.mark.parametrize('workers', [1, 3])
def test_a_crash_names_its_item(workers):
    done = dict(run_in_processes(Crash(), 7, workers))
    assert sorted(done) == list(range(7))
    assert {number: result for number, result in done.items() if isinstance(result, Died)} == dict.fromkeys(
        (2, 5), Died('signal 9, SIGKILL'))
    assert done[6] == 36


def test_a_crash_is_a_fault_of_its_file(tmp_path, monkeypatch):
    root = write_set(tmp_path)
    monkeypatch.setattr('mmseg_vittm.datasets.survey.look_at', lambda sample: os._exit(
        9) if sample.info['img_path'].endswith('training/2.jpg') else ([], None))
    (fault, ) = look(root, 2).faults
    assert fault.file == str(root / 'images/training/2.jpg') and 'ends the process (exit status 9)' in fault.problem


def write_config(path, root) -> str:
    path.write_text(config_of(root).dump())
    return str(path)


def test_tool_and_its_exit_status(tmp_path):
    root = write_set(tmp_path / 'set')
    config = write_config(tmp_path / 'set.py', root)
    done = run_tool('check_dataset.py', config, '-o', tmp_path / 'out', '--workers', '2')
    assert '0 problems in 16 files' in done.stdout and 'sky' in done.stdout and 'ETA' in done.stdout
    assert Image.open(tmp_path / 'out/classes.png').size[0] > 500
    assert '>tree</text>' in (tmp_path / 'out/classes.svg').read_text()
    path, message = spoil(root, 'half a label')
    done = run_tool('check_dataset.py', config, '-o', tmp_path / 'out', '--overwrite', succeeds=False)
    assert done.returncode == 1 and 'Traceback' not in done.stderr and '1 problems in 16 files' in done.stdout
    rows = list(csv.DictReader((tmp_path / 'out/problems.csv').read_text().splitlines()))
    assert [row['file'] for row in rows] == [str(path)] and message in rows[0]['problem']


def test_user_errors(tmp_path, monkeypatch, capsys):
    root = write_set(tmp_path / 'set')
    config = write_config(tmp_path / 'set.py', root)
    said = error_inside(monkeypatch, capsys, 'check_dataset.py', config, '--data-root', tmp_path / 'none')
    assert str(tmp_path / 'none/images/training') in said and 'no such folder' in said
    said = error_inside(monkeypatch, capsys, 'check_dataset.py', tmp_path / 'none.py')
    assert 'no such config' in said
    said = error_inside(monkeypatch, capsys, 'check_dataset.py', ROOT / 'configs/_base_/default_runtime.py')
    assert 'no dataset' in said
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/classes.csv').touch()
    said = error_inside(monkeypatch, capsys, 'check_dataset.py', config, '-o', tmp_path / 'out')
    assert 'classes.csv: there already' in said
    said = error_inside(monkeypatch, capsys, 'check_dataset.py', config, '-o', config)
    assert 'set.py' in said
    assert 'at least 1' in error_inside(monkeypatch, capsys, 'check_dataset.py', config, '--workers', '0')


def test_interrupt_is_clean(tmp_path):
    root = write_set(tmp_path / 'set', size=(400, 300))
    for path in [*root.glob('*/*/*.*')]:
        for number in range(1000):  # seconds of work, which a signal will meet
            os.link(path, path.with_stem(f'{path.stem}_{number}'))
    config = write_config(tmp_path / 'set.py', root)
    process = subprocess.Popen(
        [sys.executable, '-u', ROOT / 'tools/check_dataset.py', config, '--workers', '2'], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])})
    for line in process.stdout:
        if 'checking' in line:
            break
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and 'interrupted' in errors and 'Traceback' not in errors + rest
    time.sleep(0.2)
    with pytest.raises(ProcessLookupError):  # nothing of the group is left
        os.killpg(process.pid, 0)


@pytest.mark.parametrize('count', [1, 150])
def test_histogram_of_any_number_of_classes(count):
    classes = [f'class [number] {i}' for i in range(count)]
    pixels = np.arange(count) ** 3
    files = histogram_files(classes, pixels, np.arange(count), 'a [title] $x$')
    assert files['png'].startswith(b'\x89PNG') and files['svg'].count(b'class [number]') == count
    table = histogram_table(classes, pixels, {'train': np.arange(count)}, 3)
    assert table.row_count == count + 1
