"""`tools/laboratory.py` as users run it, with real trainings of tiny models: stopped, gone on with, reported."""
import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from laboratories import PLAN, write_laboratory
from mmengine.config import Config
from PIL import Image
from tiny_models import ROOT
from tool_inside import error_inside, run_inside

import mmseg_vittm
from mmseg_vittm.engine.processes.stop_signals import STOPS

ROWS = [dict(name='vit_16', title='ViT/16', config='vit_16.py', scores=['windows'],
             cfg_options={'model.data_preprocessor.size': [48, 48]}),
        dict(name='vittm', title='ViTTM', config='vittm.py')]
LATER = dict(name='vit_32', title='ViT/32', config='vit_32.py', group='later')


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp('laboratory')


@pytest.fixture
def laboratory(folder, monkeypatch):
    """Runs the tool on the plan of the folder; signals do afterwards what they did before."""
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join(filter(None, [str(Path(mmseg_vittm.__file__).parents[1]),
                                                                   os.environ.get('PYTHONPATH')])))
    before = {number: signal.getsignal(number) for number in STOPS}
    plan = write_laboratory(folder, PLAN, rows=ROWS, seeds=[0], per_class=['vittm'], data=[dict(
        name='toy', title='Toys', image_size=[64, 64])])
    plan.write_text(plan.read_text().replace('seeds:\n- 0\n', 'seeds: [0]\n'))

    def run(*arguments) -> None:
        run_inside(monkeypatch, 'laboratory.py', plan, '--work-dir', folder / 'work', '-o', folder / 'out', *arguments)
    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def results(folder) -> dict:
    return json.loads((folder / 'out' / 'results.json').read_text())


def confusion(cfg: Config, checkpoint: Path, prefix: str, in_windows: bool = False) -> np.ndarray:
    """Pixels by truth and prediction, counted here from what MMSegmentation's own segmentor and loop predict."""
    from mmseg.apis import inference_model
    cfg.model.type = 'EncoderDecoder'
    if in_windows:
        cfg.model.test_cfg = dict(mode='slide', crop_size=(48, 48), stride=(32, 32))
    model = mmseg_vittm.load_model(cfg, str(checkpoint))
    root = Path(cfg.val_dataloader.dataset.data_root)
    counts = np.zeros((14, 14), int)
    for image in sorted((root / 'images' / prefix).glob('*.jpg')):
        truth = np.asarray(Image.open(root / 'annotations' / prefix / f'{image.stem}.png')).astype(int) - 1
        labels = inference_model(model, str(image)).pred_sem_seg.data[0].numpy()
        known = truth >= 0
        np.add.at(counts, (truth[known], labels[known]), 1)
    return counts


def iou(counts: np.ndarray) -> np.ndarray:
    with np.errstate(invalid='ignore'):
        return 100 * counts.diagonal() / (counts.sum(0) + counts.sum(1) - counts.diagonal())


@pytest.mark.slow
def test_a_laboratory_that_is_stopped_goes_on_and_reports(laboratory, folder, capfd):
    def signal_once_it_trains() -> None:
        while not list((folder / 'work' / 'toy' / 'vit_16' / 'seed0').glob('*/vis_data/scalars.json')):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=signal_once_it_trains).start()
    with pytest.raises(SystemExit) as stop:
        laboratory()
    said = capfd.readouterr().err
    assert stop.value.code == 75 and 'stopped by SIGTERM' in said and '--work-dir' in said
    for number in STOPS:
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
    saved = list((folder / 'work' / 'toy' / 'vit_16' / 'seed0').glob('iter_*.pth'))
    assert saved and not (folder / 'out').exists()
    laboratory()
    said = capfd.readouterr().out
    assert 'toy/vittm/seed0: trained' in said and (folder / 'out' / 'results.json').is_file()


@pytest.mark.slow
def test_scores_are_those_that_another_way_of_counting_gives(laboratory, folder, results):
    rows = {(row['row'], row['way']): row for row in results['rows']}
    assert list(rows) == [('vit_16', ''), ('vit_16', 'windows'), ('vittm', '')]
    for row, way, prefix, split in (('vittm', '', 'validation', 'validation'), ('vit_16', '', 'training', 'shift'),
                                    ('vit_16', 'windows', 'validation', 'validation')):
        seed = rows[row, way]['seeds']['0']
        cfg = Config.fromfile(folder / 'work' / 'toy' / f'{row}.py')
        own = iou(confusion(cfg, folder / 'work' / 'toy' / row / 'seed0' / 'iter_4.pth', prefix, bool(way)))
        found = list(seed['scores'][split]['IoU'].values())
        assert [None if value != value else pytest.approx(value, abs=0.05) for value in own] == found
        assert seed['scores'][split]['mIoU'] == pytest.approx(np.nanmean(own), abs=0.02)
    assert rows['vittm', '']['seeds']['0']['curve'][-1] == [4, pytest.approx(
        rows['vittm', '']['seeds']['0']['scores']['validation']['mIoU'], abs=0.02)]


@pytest.mark.slow
def test_costs_speeds_and_margins_are_those_of_the_record(laboratory, folder, results):
    rows = {(row['row'], row['way']): row for row in results['rows']}
    vit, windows, vittm = rows.values()
    assert vit['params_m'] == windows['params_m'] and vit['windows_per_image'] == 1
    assert windows['windows_per_image'] == 16 and vit['input'] == [128, 128]  # as the test pipeline has it
    # ViT-Ti's block: 12 C^2 per token, attention 2 N C per token; and the embedding of 64 patches.
    tokens, width = 65, 192
    block = 12 * tokens * width**2 + 2 * tokens**2 * width + 64 * 768 * width
    assert 1e9 * vit['gflops'] - block > 0 and (1e9 * vit['gflops'] - block) / block < 0.2  # the rest is the head's
    fps = {name: row['speed']['fp32, 1 thread']['fps'] for name, row in rows.items()}
    scores = {name: row['seeds']['0']['scores']['validation']['mIoU'] for name, row in rows.items()}
    margin = vittm['margins']['validation']['fp32, 1 thread']['strict']['mean']
    as_fast = [scores[name] for name in list(rows)[:2] if fps[name] >= fps['vittm', '']]
    assert margin == (None if not as_fast else pytest.approx(scores['vittm', ''] - max(as_fast)))
    assert 'margins' in vit and vit['margins'] == {} and vittm['front'] == ['ViT/16', 'ViT/16, windows']
    assert results['plan']['rows'][0]['name'] == 'vit_16' and results['data']['toy']['classes'][0] == 'sky'
    assert results['speed']['toy'][0]['threads'] == 1 and results['versions']['torch'] and 'commit' in results


@pytest.mark.slow
def test_the_report_says_what_the_record_says(laboratory, folder, results):
    names = {path.name for path in (folder / 'out').iterdir()}
    stems = ('pareto_toy_architecture_fp32', 'curves_toy_architecture', 'classes_toy')
    assert names == {'results.json', 'table.md', *(f'{stem}.{end}' for stem in stems for end in ('svg', 'png'))}
    table = (folder / 'out' / 'table.md').read_text()
    for row in results['rows']:
        line = next(line for line in table.splitlines() if line.startswith(f'| {row["name"]} |'))
        assert f'{row["seeds"]["0"]["scores"]["validation"]["mIoU"]:.2f}' in line and f'{row["params_m"]:.2f}' in line
    assert all(f']({stem}.svg)' in table for stem in stems) and 'Not trained' not in table


@pytest.mark.slow
def test_a_report_is_not_replaced_unasked_and_a_new_row_is_missing(laboratory, folder, monkeypatch, capsys):
    plan, work, before = folder / 'plan.yaml', folder / 'work', (folder / 'out' / 'results.json').read_bytes()
    error = error_inside(monkeypatch, capsys, 'laboratory.py', plan, '--work-dir', work, '-o', folder / 'out')
    assert 'there already' in error and '--overwrite' in error
    content = yaml.safe_load(plan.read_text())
    content['rows'].append(LATER | dict(config=str(folder / 'vit_32.py')))
    plan.write_text(yaml.safe_dump(content))
    checkpoint = work / 'toy' / 'vittm' / 'seed0' / 'iter_4.pth'
    times = [path.stat().st_mtime_ns for path in (checkpoint, checkpoint.with_name('scores.json'))]
    laboratory_again(monkeypatch, plan, work, folder / 'new', '--stages', 'score', 'report')
    assert times == [path.stat().st_mtime_ns for path in (checkpoint, checkpoint.with_name('scores.json'))]
    table = (folder / 'new' / 'table.md').read_text()
    assert '\nNot trained, seed 0: ViT/32.\n' in table and 'speed not measured yet' in table
    assert [row['seeds'] for row in json.loads((folder / 'new' / 'results.json').read_text())['rows'][3:]] == [{}]
    content['rows'][1]['cfg_options'] = {'optim_wrapper.optimizer.lr': 0.5}
    plan.write_text(yaml.safe_dump(content))
    error = error_inside(monkeypatch, capsys, 'laboratory.py', plan, '--work-dir', work, '-o', folder / 'other')
    assert 'optim_wrapper.optimizer.lr was 0.001, is 0.5' in error and checkpoint.is_file()
    assert not (folder / 'other').exists() and (folder / 'out' / 'results.json').read_bytes() == before


def laboratory_again(monkeypatch, plan: Path, work: Path, out: Path, *arguments: str) -> None:
    run_inside(monkeypatch, 'laboratory.py', plan, '--work-dir', work, '-o', out, *arguments)


def test_options_that_are_wrong(tmp_path, monkeypatch, capsys):
    plan = write_laboratory(tmp_path)
    for arguments, said in ((('--data-root', 'x'), 'must be NAME=DIR'),
                            (('--data-root', 'a=b', 'a=c'), 'names a data set twice: a, a'),
                            (('--stages', 'x'), 'invalid choice'),
                            (('--jobs', '0'), 'whole number from 1'), (('--only', 'x*'), 'no run of')):
        assert said in error_inside(monkeypatch, capsys, 'laboratory.py', plan, '--work-dir', tmp_path / 'work',
                                    '-o', tmp_path / 'out', *arguments)
    camvid = str(ROOT / 'configs' / '_base_' / 'datasets' / 'camvid.py')
    plan = write_laboratory(tmp_path, data=[dict(name='camvid', image_size=[64, 64], config=camvid)])
    error = error_inside(monkeypatch, capsys, 'laboratory.py', plan, '--work-dir', tmp_path / 'work',
                         '-o', tmp_path / 'out', '--data-root', f'camvid={tmp_path}')
    assert 'images/train: no such folder' in error and 'give --data-root camvid=DIR, the folder' in error
    assert not (tmp_path / 'work').exists() and not (tmp_path / 'out').exists()
