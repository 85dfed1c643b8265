"""Results put together: against which plain ViTs a row is measured."""
import io
import json
from pathlib import Path

import pytest
from laboratories import PLAN, write_laboratory
from rich.console import Console

from mmseg_vittm.commands.laboratory.carrying_out import carry_out
from mmseg_vittm.commands.laboratory.laboratory import Laboratory
from mmseg_vittm.commands.laboratory.plan_file import read_plan
from mmseg_vittm.commands.laboratory.results import add_margins, condition, family_of, gather, mious
from mmseg_vittm.errors import InputError


def row(name: str, family: str, group: str, fps: float, *scores: float, data: str = 'camvid') -> dict:
    seeds = {str(seed): dict(scores=dict(validation=dict(mIoU=value))) for seed, value in enumerate(scores)}
    return dict(name=name, data=data, family=family, group=group, speed={'fp32': dict(fps=fps)}, seeds=seeds)


def test_rows_are_measured_against_their_own_group_and_the_first():
    rows = [row('ViT/16', 'ViT', 'architecture', 10, 50, 52), row('ViT/32', 'ViT', 'architecture', 40, 40, 42),
            row('ViT/8', 'ViT', 'architecture', 1), row('ViTTM', 'ViTTM', 'architecture', 20, 46, 47),
            row('lever', 'ViTTM', 'levers', 40, 41, 45), row('warm ViT', 'ViT', 'warm start', 40, 60, 60),
            row('warm ViTTM', 'ViTTM', 'warm start', 20, 61, 63),
            row('taught ViT/32', 'ViT', 'distillation', 40, 43, 43),
            row('taught ViTTM', 'ViTTM', 'distillation', 20, 46, 46),
            row('ViT/16', 'ViT', 'architecture', 10, 0, 0, data='toy')]
    add_margins(rows)
    found = {one['name']: one for one in rows if one['data'] == 'camvid'}
    assert found['ViT/16']['margins'] == {} and 'front' not in found['ViT/16']
    assert found['ViTTM']['front'] == ['ViT/16', 'ViT/32'] and found['ViTTM']['front_missing'] == ['ViT/8']
    own = found['ViTTM']['margins']['validation']['fp32']
    assert own['interpolated']['seeds'] == {'0': pytest.approx(46 - 45), '1': pytest.approx(47 - 47)}
    assert own['strict']['mean'] == pytest.approx(46.5 - 41)
    assert found['lever']['front'] == ['ViT/16', 'ViT/32']
    assert found['lever']['margins']['validation']['fp32']['strict']['seeds'] == {'0': 1.0, '1': 3.0}
    assert found['warm ViTTM']['front'] == ['ViT/16', 'ViT/32', 'warm ViT']
    assert found['warm ViTTM']['margins']['validation']['fp32']['interpolated']['mean'] == pytest.approx(2.0)
    # Its own group has no slower ViT than ViT/32, which says nothing of what ViT/16 is worth.
    assert found['taught ViTTM']['margins']['validation']['fp32']['interpolated']['mean'] == pytest.approx(46 - 47)


def test_nothing_is_invented_for_what_is_missing():
    rows = [row('ViT/16', 'ViT', 'a', 10), row('ViTTM', 'ViTTM', 'a', 20, 46), row('new', 'ViTTM', 'a', 20)]
    rows[2]['speed'] = {}
    add_margins(rows)
    assert [one['margins'] for one in rows] == [{}, {}, {}] and rows[1]['front_missing'] == ['ViT/16']
    assert mious(rows[2]) == {} and mious(rows[1]) == {'0': 46}


def test_the_plan_in_the_results_is_that_which_was_carried_out(tmp_path):
    plan = read_plan(write_laboratory(tmp_path))
    Path(plan.path).write_text('changed: meanwhile')
    found = gather(Laboratory(plan, tmp_path / 'work'))
    assert [row['name'] for row in found['plan']['rows']] == ['vit_16', 'vittm'] and json.dumps(found)


NO_CROP = "crop_size = None\nmodel['data_preprocessor'] = dict(size=None, size_divisor=32)\n"


@pytest.mark.parametrize(('options', 'said'), [
    (dict(val_dataloader=None, val_cfg=None, val_evaluator=None), 'has no val_dataloader, whose images are scored'),
    ({'val_dataloader.dataset': dict(_delete_=True, type='BaseSegDataset', data_root='x', pipeline=[])}, 'classes of'),
    (dict(test_dataloader=None, test_cfg=None, test_evaluator=None), 'test_dataloader has no dataset with a pipeline'),
    ({}, 'windows need crop_size')])
def test_what_results_need_is_looked_for_before_anything_trains(tmp_path, options, said):
    rows = [PLAN['rows'][1], PLAN['rows'][0] | dict(cfg_options=options, scores=['windows'])]
    plan = read_plan(write_laboratory(tmp_path, rows=rows))
    with open(tmp_path / 'vit_16.py', 'a') as file:
        file.write('' if options else NO_CROP)
    with pytest.raises(InputError, match=said):
        carry_out(plan, str(tmp_path / 'out'), str(tmp_path / 'work'), {}, [], ['train'], 1, False, False,
                  Path('no tool'), Console(file=io.StringIO()))
    assert not (tmp_path / 'work').exists()


def test_conditions_and_families_in_words():
    assert condition(dict(device='cpu', dtype='bf16', threads=2)) == 'bf16, 2 threads'
    assert condition(dict(device='cuda:0', dtype='fp32', threads=2)) == 'fp32, GPU'
    assert [family_of(name) for name in ('ViTBackbone', 'mmseg_vittm.backbones.vit.ViTBackbone', 'ViTTM', 'MiT')] == [
        'ViT', 'ViT', 'ViTTM', 'MiT']
