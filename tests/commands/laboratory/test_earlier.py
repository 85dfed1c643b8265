"""An earlier report's runs, taken over where a work dir lacks them."""
import copy
import io
import json
from pathlib import Path

import pytest
from laboratories import PLAN, write_laboratory
from rich.console import Console

from mmseg_vittm.commands.laboratory import carrying_out
from mmseg_vittm.commands.laboratory.earlier import Earlier
from mmseg_vittm.commands.laboratory.laboratory import Laboratory
from mmseg_vittm.commands.laboratory.plan import Run
from mmseg_vittm.commands.laboratory.plan_file import read_plan
from mmseg_vittm.commands.laboratory.results import gather
from mmseg_vittm.errors import InputError

ROWS = [row | dict(scores=['windows']) for row in PLAN['rows']]
LARGE = [dict(name='toy', image_size=[64, 128])]  # larger than the crop, so that there are windows


def seed(value: float) -> dict:
    """What a report says of a finished run."""
    return dict(checkpoint='abc', seconds_per_iteration=0.1, curve=[[4, value]], scores=dict(validation=dict(
        mIoU=value, aAcc=50.0, images=2, IoU={f'class {number}': value for number in range(3)})))


def laboratory(folder: Path, **changes) -> Laboratory:
    return Laboratory(read_plan(write_laboratory(folder, **dict(rows=ROWS, data=LARGE) | changes)), folder / 'work')


@pytest.fixture
def report(tmp_path) -> Path:
    """The report of a laboratory of which both seeds of ViTTM are done; one of them has no windows' scores."""
    results = gather(laboratory(tmp_path))
    for row in results['rows']:
        if row['row'] == 'vittm':
            row['seeds'] = {str(number): seed(30.0 + number) for number in range(2 if not row['way'] else 1)}
    path = tmp_path / 'earlier.json'
    path.write_text(json.dumps(results))
    return path


def test_runs_of_the_same_rows_are_taken_over(tmp_path, report):
    lab = laboratory(tmp_path, rows=[*ROWS, dict(name='vit_32', config='vit_32.py')])
    earlier = Earlier(report, lab)
    assert [run for run in lab.plan.runs() if earlier.has(run, lab)] == [Run('toy', 'vittm', 0)]
    results = gather(lab, earlier)
    rows = {(row['row'], row['way']): row for row in results['rows']}
    assert {key: row['missing'] for key, row in rows.items()} == {
        ('vit_16', ''): [0], ('vit_16', 'windows'): [0], ('vittm', ''): [], ('vittm', 'windows'): [1],
        ('vit_32', ''): [0, 1]}
    content = json.loads(report.read_text())
    source = dict(commit=content['commit'], date=content['date'])
    assert rows['vittm', '']['seeds'] == {str(number): seed(30.0 + number) | dict(earlier=source)
                                          for number in range(2)}
    assert rows['vittm', 'windows']['seeds'] == {'0': seed(30.0) | dict(earlier=source)}
    later = copy.deepcopy(results) | dict(commit='0' * 40)
    report.write_text(json.dumps(later))
    again = gather(lab, Earlier(report, lab))
    assert again['rows'] == results['rows']  # whose runs are still of the first report


@pytest.mark.parametrize('changes,differ', [
    (dict(cfg_options={'optim_wrapper.optimizer.lr': 0.1}), 'cfg_options'),
    (dict(cfg_options={'train_cfg.max_iters': 9}), 'cfg_options, iterations'),
    (dict(config='vit_32.py'), 'config, model'),
    (dict(warm_start='vit_16', seeds=[0]), 'warm_start')])
def test_a_row_that_is_another_by_now_is_left_out_and_named(tmp_path, report, changes, differ):
    lab = laboratory(tmp_path, rows=[ROWS[0], ROWS[1] | changes])
    earlier = Earlier(report, lab)
    assert not earlier.has(Run('toy', 'vittm', 0), lab) and earlier.seeds('toy', 'vittm', '') == {}
    assert earlier.others[0] == f'{report}: toy/vittm has another {differ} than {lab.plan.path}: left out'


def test_a_data_set_that_is_another_by_now_is_left_out(tmp_path, report):
    lab = laboratory(tmp_path, data=[dict(name='toy', image_size=[64, 192], cfg_options={'randomness.seed': 3})])
    earlier = Earlier(report, lab)
    assert earlier.others[0].endswith(f'image_size of its data, cfg_options of its data than {lab.plan.path}: '
                                      'left out')
    assert earlier.seeds('toy', 'vittm', '') == {}


def test_what_is_done_here_counts(tmp_path, report, monkeypatch):
    lab = laboratory(tmp_path)
    monkeypatch.setattr(Laboratory, 'is_done', lambda self, run: run == Run('toy', 'vittm', 1))
    monkeypatch.setattr('mmseg_vittm.commands.laboratory.results._seed', lambda *arguments: seed(40.0))
    row = gather(lab, Earlier(report, lab))['rows'][2]
    assert [one['scores']['validation']['mIoU'] for one in row['seeds'].values()] == [30.0, 40.0]
    assert ['earlier' in one for one in row['seeds'].values()] == [True, False]


def test_only_what_neither_has_is_trained(tmp_path, report, monkeypatch):
    seen = []
    monkeypatch.setattr(carrying_out, '_train', lambda laboratory, runs, *arguments: seen.extend(runs) or {})
    needing = ROWS[1] | dict(name='warm', title='Warm', warm_start='vittm', seeds=[0])
    plan = read_plan(write_laboratory(tmp_path, rows=[*ROWS, needing], data=LARGE))
    said = io.StringIO()
    carrying_out.carry_out(plan, str(tmp_path / 'out'), str(tmp_path / 'work'), {}, [], ['train', 'report'], 1, False,
                           False, Path('no tool'), Console(file=said, width=300), str(report))
    # `warm` begins from the weights of vittm/seed0, which no report holds.
    assert [str(run) for run in seen] == ['toy/vit_16/seed0', 'toy/vittm/seed0', 'toy/warm/seed0', 'toy/vittm/seed1']
    table = (tmp_path / 'out' / 'table.md').read_text()
    assert '2 of 2 runs are of an earlier report, of commit ' in table and '31.00' in table
    assert 'Not trained, seed 0: ViT/16; Warm.' in table


@pytest.mark.parametrize('content', ['no JSON', '[]', '{}', '{"plan": {}, "rows": [1], "commit": ""}', None])
def test_what_is_no_report_is_an_error(tmp_path, content):
    path = tmp_path / 'other.json'
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r'earlier=.*other.json: no results.json of a report'):
        Earlier(path, laboratory(tmp_path))


def test_trainings_in_another_precision_are_refused(tmp_path, report):
    with pytest.raises(InputError, match='trained with amp: false, .*plan.yaml has amp: true'):
        Earlier(report, laboratory(tmp_path, amp=True))
