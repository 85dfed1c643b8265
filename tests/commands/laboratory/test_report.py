"""The report of a laboratory: what it would write, looked at before anything long starts."""
import sys

import pytest
from laboratories import PLAN, write_laboratory

from mmseg_vittm.commands.laboratory.plan_file import read_plan
from mmseg_vittm.commands.laboratory.report import claim_report, write_report
from mmseg_vittm.errors import InputError


def test_what_pictures_need_is_looked_for_first(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'adjustText', None)
    with pytest.raises(InputError, match='adjustText, which is not installed: pip install'):
        claim_report(read_plan(write_laboratory(tmp_path)), tmp_path / 'out', True)


def row(name: str, group: str, family: str, *curve: tuple[int, float], **more) -> dict:
    scores = dict(validation=dict(mIoU=curve[-1][1], IoU={})) if curve else {}
    return dict(data='toy', row=name, way='', name=name, group=group, family=family, params_m=1.0, gflops=1.0,
                begins_like=None, speed={'fp32, 1 thread': dict(fps=9.0, fps_iqr=[8.0, 10.0])}, margins={}, missing=[],
                seeds={'0': dict(scores=scores, curve=curve)} if curve else {}) | more


def test_a_picture_of_a_group_shows_the_group(tmp_path):
    plan = read_plan(write_laboratory(tmp_path))
    points = (2, 10.0), (4, 20.0)
    about = dict(title='Toys', image_size=[64, 64], classes=['sky'])
    rows = [row('vit_16', 'architecture', 'ViT', *points), row('vittm', 'architecture', 'ViTTM', *points),
            row('warm', 'warm start', 'ViTTM', begins_like='vittm', front=['vit_16'])]
    results = dict(data=dict(toy=about), speed=dict(toy=[]), rows=rows)
    first = {'results.json', 'table.md', *(f'{kind}_toy_architecture{dtype}.{ending}' for ending in ('svg', 'png')
                                           for kind, dtype in (('curves', ''), ('pareto', '_fp32')))}
    assert {path.name for path in write_report(plan, results, tmp_path / 'out')} == first
    assert 'dashed' not in (tmp_path / 'out' / 'curves_toy_architecture.svg').read_text()
    rows[2] |= row('warm', 'warm start', 'ViTTM', *points, begins_like='vittm', front=['vit_16'])
    more = {path.name for path in write_report(plan, results, tmp_path / 'out')} - first
    assert more == {f'{kind}.{ending}' for ending in ('svg', 'png')
                    for kind in ('curves_toy_warm_start', 'pareto_toy_warm_start_fp32')}
    assert 'dashed: the same without warm start' in (tmp_path / 'out' / 'curves_toy_warm_start.svg').read_text()


def test_rows_are_shown_beside_other_groups_where_the_plan_says_so(tmp_path):
    points = (2, 10.0), (4, 20.0)
    about = dict(title='Toys', image_size=[64, 64], classes=['sky'])
    rows = [row('vit_16', 'architecture', 'ViT', *points), row('vittm', 'rivals', 'ViTTM', *points, front=[])]
    results = dict(data=dict(toy=about), speed=dict(toy=[]), rows=rows)
    for beside in ([], ['rivals']):
        planned = [PLAN['rows'][0] | dict(beside=beside), PLAN['rows'][1] | dict(group='rivals')]
        plan = read_plan(write_laboratory(tmp_path, rows=planned))
        write_report(plan, results, tmp_path / 'out')
        for group, shown in (('rivals', bool(beside)), ('architecture', True)):
            picture = (tmp_path / 'out' / f'pareto_toy_{group}_fp32.svg').read_text()
            assert ('vit_16' in picture) == shown, (beside, group)


def test_two_pictures_of_one_name(tmp_path):
    rows = [row | dict(group=group) for row, group in zip(PLAN['rows'], ('warm start', 'warm_start'), strict=True)]
    with pytest.raises(InputError, match='two pictures would be curves_toy_warm_start; give groups and data sets oth'):
        claim_report(read_plan(write_laboratory(tmp_path, rows=rows)), tmp_path / 'out', True)
