"""A second backend of the visualizer, as a setting and as a line of a config; and lists that stay as they are."""
import importlib.util

import pytest
from mmengine.config import Config
from tool_inside import run_inside
from tool_runs import logged, write_config

from mmseg_vittm.commands.configs.longer_lists import lengthen_lists, unread_backends
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.errors import InputError

LINE = "visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])\n"
SETTING = 'vis_backends.1.type=TensorboardVisBackend'
BOTH = ['LocalVisBackend', 'TensorboardVisBackend']


@pytest.mark.parametrize('names,lengths', [
    (['a.1.type'], (2, 2)), (['a.1.type', 'a.2.type', 'a.1.x'], (3, 2)), (['b.c.2.type'], (1, 3)),
    (['a.1.x'], (1, 2)), (['a.2.type'], (1, 2)), (['a.0.type'], (1, 2)), (['type'], (1, 2)), (['1.type'], (1, 2)),
    (['a.-1.type', 'a.x.type', 'a.1.type.y', 'a.99999999.type', 'n.1.type', 'b.1.type', 'x.y.z.1.type'], (1, 2))])
def test_which_lists_grow(names, lengths):
    cfg = Config(dict(a=[dict(type='x')], b=dict(c=[dict(), dict()]), n=[1]))
    lengthen_lists(cfg, names)
    assert (len(cfg.a), len(cfg.b.c), len(cfg.n)) == (*lengths, 1)


@pytest.mark.parametrize('setting', ['vis_backends', 'visualizer.vis_backends'])
def test_a_second_backend_as_a_setting(tmp_path, setting):
    options = {f'{setting}.1.type': 'TensorboardVisBackend', f'{setting}.2.type': 'MLflowVisBackend',
               f'{setting}.2.tracking_uri': 'sqlite:///x.db'}
    cfg = load_config(str(write_config(tmp_path)), options, job='train')
    assert [one.type for one in cfg.visualizer.vis_backends] == [*BOTH, 'MLflowVisBackend']
    assert cfg.visualizer.vis_backends[2].tracking_uri == 'sqlite:///x.db'


@pytest.mark.parametrize('setting,said', [
    ({'visualizer.vis_backends.2.type': 'TensorboardVisBackend'}, 'has no place'),
    ({'visualizer.vis_backends.1.type': 'Foo'}, 'no Foo is registered among the VISBACKENDS'),
    ({'visualizer.vis_backends.1.type': 'TensorboardVisBackend', 'visualizer.vis_backends.1.foo': 1}, 'foo'),
    ({'param_scheduler.7.end': 3}, 'has no place')])
def test_a_wrong_element_is_an_error(tmp_path, setting, said):
    with pytest.raises(InputError, match=said):
        load_config(str(write_config(tmp_path)), setting)


def test_backends_that_nothing_reads_are_a_warning(tmp_path, log_lines):
    lines = "vis_backends = [dict(type='TensorboardVisBackend')]\n"
    load_config(str(write_config(tmp_path, more=lines)))
    said, = log_lines.of('WARNING')
    assert 'nothing reads vis_backends' in said and 'visualizer=dict(vis_backends=[...])' in said
    for right in (lines + 'visualizer = dict(vis_backends=vis_backends)\n', '', 'visualizer = None\n'):
        assert unread_backends(Config.fromfile(write_config(tmp_path, more=right))) is None


def test_the_line_for_a_config(tmp_path, log_lines):
    """What the page says of experiments: it names both, and nothing else of the visualizer changes."""
    cfg = load_config(str(write_config(tmp_path, more=LINE)), job='train')
    assert [one.type for one in cfg.visualizer.vis_backends] == BOTH
    assert cfg.visualizer.type == 'SegLocalVisualizer' and cfg.visualizer.name == 'visualizer'


def test_scalars_arrive_in_tensorboard(tmp_path, monkeypatch):
    if importlib.util.find_spec('tensorboard') is None:
        pytest.skip('tensorboard is not installed')
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    config, work = write_config(tmp_path), tmp_path / 'work'
    run_inside(monkeypatch, 'train.py', config, '--work-dir', work, '--cfg-options', SETTING)
    found = EventAccumulator(str(next(work.glob('2*/vis_data'))))
    found.Reload()
    entries = logged(work)
    for name in ('loss', 'lr', 'decode.loss_ce', 'mIoU', 'aAcc'):
        told = [(scalar.step, scalar.value) for scalar in found.Scalars(name)]
        expected = [(entry['step'], entry[name]) for entry in entries if name in entry]
        assert len(told) == (1 if name in ('mIoU', 'aAcc') else 4)
        for (step, value), (own_step, own) in zip(told, expected, strict=True):
            assert step == own_step and value == pytest.approx(own, rel=1e-6)
    text = found.Tensors('config/text_summary')[0].tensor_proto.string_val[0].decode()
    assert 'TensorboardVisBackend' in text and 'max_iters=4' in text
