"""Configs as the command lines read them."""
import pytest
from mmengine.config import Config
from tiny_models import ROOT
from tool_runs import write_config

from mmseg_vittm.commands.configs.reading import check_data, load_config, set_data_root
from mmseg_vittm.errors import InputError


def ade20k(root) -> Config:
    prefix = dict(img_path='images/training', seg_map_path='annotations/training')
    return Config(dict(train_dataloader=dict(dataset=dict(type='ADE20KDataset', data_root=str(root),
                                                          data_prefix=prefix))))


def test_data_is_checked_before_anything_starts(tmp_path):
    with pytest.raises(InputError, match='images/training: no such folder'):
        check_data(ade20k(tmp_path), ('train_dataloader',))
    inner = tmp_path / 'ADEChallengeData2016'
    for folder in ('images', 'annotations'):
        (inner / folder / 'training').mkdir(parents=True)
    with pytest.raises(InputError, match='Did you mean data_root=.*ADEChallengeData2016'):
        check_data(ade20k(tmp_path), ('train_dataloader',))
    (inner / 'images' / 'training' / 'a.jpg').touch()
    with pytest.raises(InputError, match='annotations/training: the folder is empty'):
        check_data(ade20k(inner), ('train_dataloader',))
    (inner / 'annotations' / 'training' / 'a.png').touch()
    check_data(ade20k(inner), ('train_dataloader', 'val_dataloader'))  # the config has no val_dataloader: not read


def test_data_root_reaches_every_dataset():
    dataset = dict(type='ADE20KDataset', data_root='old', data_prefix=dict(img_path='i', seg_map_path='s'))
    cfg = Config(dict(
        data_root='old',
        train_dataloader=dict(dataset=dict(type='RepeatDataset', times=2, dataset=dict(
            type='ConcatDataset', datasets=[dict(dataset), dict(dataset)]))),
        val_dataloader=dict(dataset=dict(dataset)), test_dataloader=dict(dataset=dict(dataset))))
    set_data_root(cfg, 'new')
    assert str(cfg).count("'new'") == 5 and "'old'" not in str(cfg)
    with pytest.raises(InputError, match='no dataset'):
        set_data_root(Config(dict(train_dataloader=None)), 'new')


@pytest.mark.parametrize(('text', 'words'), [
    (None, 'no such config'), ('x = (', 'cannot be read as a config'), ('1 / 0', 'ZeroDivisionError'),
    ('custom_imports = dict(imports=["no_such_module"], allow_failed_imports=False)',
     r'not installed \(ImportError: Failed to import no_such_module\)$')])
def test_a_config_that_cannot_be_read_is_one_line(tmp_path, text, words):
    path = tmp_path / 'config.py'
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        load_config(str(path))
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('settings', [
    {'train_cfg.max_iters.more': 1}, {'param_scheduler.9.begin': 0}, {'total_batch_size': 4, 'train_dataloader': None}])
def test_a_setting_without_a_place_is_named(settings):
    with pytest.raises(InputError, match='no place for the settings') as caught:
        load_config(str(ROOT / 'configs' / 'segmenter_vittm_t_toy.py'), settings)
    assert next(iter(settings)) in str(caught.value) and '\n' not in str(caught.value)


def test_total_batch_by_setting(tmp_path):
    assert load_config(str(write_config(tmp_path)), {'total_batch_size': 6}).train_dataloader.batch_size == 6
