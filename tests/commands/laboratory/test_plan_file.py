"""Plans: what they say, and one line for everything that is wrong with one."""
import copy
from datetime import date

import pytest
import yaml
from laboratories import PLAN, write_laboratory

from mmseg_vittm.commands.laboratory.plan import Run
from mmseg_vittm.commands.laboratory.plan_file import read_plan
from mmseg_vittm.errors import InputError


def changed(path: tuple, value: object) -> dict:
    """The usual plan with one value in another place."""
    plan = copy.deepcopy(PLAN)
    node = plan
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return plan


def test_defaults_and_the_order_of_runs(tmp_path):
    plan = read_plan(write_laboratory(tmp_path, data=[dict(name='a', image_size=[64, 96]),
                                                      dict(name='b', image_size=[64, 64])]))
    assert list(map(str, plan.runs())) == ['a/vit_16/seed0', 'a/vittm/seed0', 'b/vit_16/seed0', 'b/vittm/seed0',
                                           'a/vittm/seed1', 'b/vittm/seed1']
    row = plan.rows['vittm']
    assert (row.group, row.title, plan.data['a'].title, plan.amp) == ('architecture', 'ViTTM', 'a', False)
    assert plan.data['a'].image_size == (64, 96) and plan.speed.dtypes == ('fp32',)


@pytest.mark.parametrize(('path', 'value', 'said'), [
    (('row',), [], 'has no row; did you mean rows?'),
    (('rows',), None, 'needs rows, a list of one or more'),
    (('rows', 0, 'nmae'), 'x', r'rows\[0\] has no nmae; did you mean name\?'),
    (('rows', 0, 'name'), None, 'has no name'), (('rows', 0, 'name'), 'a/b', 'name must be letters'),
    (('rows', 0, 'name'), 7, 'name must be a text, got 7'),
    (('rows', 1, 'name'), 'vit_16', 'rows has vit_16 twice; give each a name'),
    (('rows', 1, 'title'), 'ViT/16', 'rows has ViT/16 twice; give each a title'),
    (('rows', 0, 'config'), '', 'config must be a text'), (('rows', 0, 'config'), 'no.py', 'no.py: no such file'),
    (('rows', 0, 'data'), ['camvid'], "data must be of toy, got 'camvid'"),
    (('rows', 0, 'seeds'), [0, 'a'], "seeds must be whole numbers from 0 on, got 'a'"),
    (('rows', 0, 'seeds'), [0, 0], 'seeds names one twice'),
    (('rows', 0, 'cfg_options'), ['a'], 'cfg_options must be settings'),
    (('rows', 0, 'cfg_options'), {'a.lr': '1e-3'}, "cfg_options a.lr is a text to YAML, '1e-3'; give .* as in 1.0e-3"),
    (('rows', 0, 'cfg_options'), {'a': [{7: 1}]}, 'cfg_options a 0 must have texts as keys, got 7'),
    (('rows', 0, 'cfg_options'), {'a': date(2026, 1, 1)}, 'cfg_options a must be a number, a text, a list or sett'),
    (('rows', 0, 'scores'), 'window', "scores must be of windows, got 'window'"),
    (('rows', 0, 'warm_start'), 'nothing.pth', 'warm_start: nothing.pth: no run of this plan'),
    (('rows', 0, 'warm_start'), 'vittm/seed7', 'no run of this plan'),
    (('rows', 0, 'teacher'), 'nothing.pth', 'teacher: nothing.pth: no run of this plan'),
    (('rows', 0, 'teacher'), ['a', 'b', 'c'], r'teacher must be a run, or \[CONFIG, RUN or CHECKPOINT\]'),
    (('rows', 0, 'teacher'), ['no.py', 'vittm'], 'no.py: no such config file'),
    (('rows', 0, 'teacher'), [__file__, 'vittm'], 'the run toy/vittm/seed0 is of .*vittm.py, not of'),
    (('rows', 0, 'teacher'), __file__, 'a checkpoint needs its config'),
    (('rows', 0, 'warm_start'), 'vit_16', 'wait for each other: toy/vit_16/seed0 needs toy/vit_16/seed0'),
    (('data', 0, 'image_size'), [64], r'image_size must be \[HEIGHT, WIDTH\]'),
    (('data', 0, 'config'), 'no.py', 'no.py: no such file'), (('data', 0), 'toy', 'must be keys and values'),
    (('data',), [dict(name='a', image_size=[1, 1])] * 2, 'data has a twice'),
    (('amp',), 'yes', "amp must be true or false, got 'yes'"), (('seeds',), -1, 'seeds must be whole numbers'),
    (('speed', 'image'), 3, 'speed has no image; did you mean images?'),
    (('speed', 'images'), 0, 'images must be a whole number from 1 on'),
    (('speed', 'dtypes'), ['fp8'], "dtypes must be of .*, got 'fp8'"),
    (('speed', 'threads'), [0], 'threads must be whole numbers from 1 on'),
    (('per_class',), ['vit_8'], "per_class must be of vit_16, vittm, got 'vit_8'"),
    (('rows', 0, 'beside'), ['rivals'], "beside must name other groups of the plan, which has architecture; got 'riv")])
def test_a_wrong_plan_is_one_line(tmp_path, path, value, said):
    file = write_laboratory(tmp_path, changed(path, value))
    with pytest.raises(InputError, match=said) as error:
        read_plan(file)
    assert '\n' not in str(error.value) and str(error.value).startswith(str(file))


@pytest.mark.parametrize(('text', 'said'), [
    ('a: [', 'cannot be read as a plan'), ('- a', 'must be keys and values'), ('', 'must be keys and values'),
    ('1: 2', 'must be keys and values'), ('&a [*a]', 'must be keys and values'),
    ('rows: [{a: 1}]\nrows: [{b: 2}]', 'rows is there twice'), ('rows: [{a: 1, a: 1}]', 'a is there twice'),
    ('x: !!python/object/apply:os.getcwd []', 'cannot be read as a plan')])
def test_a_file_that_is_no_plan(tmp_path, text, said):
    file = tmp_path / 'plan.yaml'
    file.write_text(text)
    with pytest.raises(InputError, match=said):
        read_plan(file)
    with pytest.raises(InputError, match='no such plan'):
        read_plan(tmp_path / 'other.yaml')


def test_settings_that_hold_themselves(tmp_path):
    settings = {}
    settings['a'] = settings
    with pytest.raises(InputError, match='cfg_options are nested too deep'):
        read_plan(write_laboratory(tmp_path, rows=[PLAN['rows'][0] | dict(cfg_options=settings)]))


def test_runs_name_each_other(tmp_path):
    rows = [dict(name='vit_16', config='vit_16.py', seeds=[0, 1]), dict(name='vit_32', config='vit_32.py', seeds=[4]),
            dict(name='warm', config='vittm.py', warm_start='b/vit_16'),
            dict(name='taught', config='vittm.py', data=['a'], teacher='vit_32', warm_start='vit_16/seed0')]
    data = [dict(name=name, image_size=[64, 64]) for name in 'ab']
    plan = read_plan(write_laboratory(tmp_path, rows=rows, data=data))
    assert plan.needs(Run('a', 'warm', 1)) == [Run('b', 'vit_16', 1)]
    assert plan.needs(Run('a', 'taught', 1)) == [Run('a', 'vit_16', 0), Run('a', 'vit_32', 4)]


def test_runs_that_wait_for_each_other(tmp_path):
    rows = [dict(name='a', config='vittm.py', warm_start='b'), dict(name='b', config='vittm.py', teacher='a')]
    with pytest.raises(InputError, match='toy/a/seed0 needs toy/b/seed0 needs toy/a/seed0'):
        read_plan(write_laboratory(tmp_path, rows=rows))


def test_the_plan_of_the_project_is_one():
    from tiny_models import ROOT
    content = yaml.safe_load((ROOT / 'benchmarks' / 'laboratory' / 'plan.yaml').read_text())
    for one in content['rows'] + content['data']:
        assert 'config' not in one or (ROOT / one['config']).is_file()
    assert content['seeds'] == [0, 1] and {'vit_16', 'vit_32', 'vit_8'} <= {row['name'] for row in content['rows']}
