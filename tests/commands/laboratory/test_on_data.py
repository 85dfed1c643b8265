"""Configs on other data: what changes, and that nothing else does."""
import pytest
from laboratories import write_laboratory
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny_models import ROOT

from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.laboratory.on_data import classes_of_data, on_data
from mmseg_vittm.errors import InputError
from mmseg_vittm.stack import MODELS

CAMVID, TOY = (str(ROOT / 'configs' / '_base_' / 'datasets' / f'{name}.py') for name in ('camvid', 'toy_laboratory'))
VITTM = str(ROOT / 'configs' / 'camvid' / 'vittm_32_8.py')


def test_data_and_classes_change_and_nothing_else():
    cfg, toy = load_config(VITTM), load_config(TOY)
    before, merged = cfg.pretty_text, on_data(cfg, toy)
    assert cfg.pretty_text == before
    assert merged.train_dataloader == toy.train_dataloader and merged.val_dataloader == toy.val_dataloader
    assert merged.test_pipeline == toy.test_pipeline and merged.model.decode_head.num_classes == 14
    assert merged.data_root == toy.data_root and 'scale' not in merged  # a variable of CamVid's file
    assert merged.model.backbone == cfg.model.backbone and merged.optim_wrapper == cfg.optim_wrapper
    assert merged.train_cfg == cfg.train_cfg and merged.default_hooks == cfg.default_hooks
    with DefaultScope.overwrite_default_scope('mmseg'):
        assert MODELS.build(merged.model).decode_head.conv_seg.out_channels == 14


def test_its_own_data_change_nothing():
    cfg = load_config(VITTM)
    merged = on_data(cfg, load_config(CAMVID))
    variables = {'vis_backends'}  # of another file: what was made of them is what is read
    assert merged._cfg_dict.to_dict() == {name: value for name, value in cfg._cfg_dict.to_dict().items()
                                          if name not in variables}


def test_what_is_written_is_read_as_the_same(tmp_path):
    merged = on_data(load_config(VITTM), load_config(TOY))
    path = tmp_path / 'merged.py'
    path.write_text(merged.pretty_text)
    assert load_config(str(path), job='train')._cfg_dict.to_dict() == merged._cfg_dict.to_dict()


def test_every_head_has_the_classes_and_every_size_the_crop(tmp_path):
    write_laboratory(tmp_path)
    cfg = load_config(str(tmp_path / 'vittm.py'))
    cfg.crop_size = (64, 64)
    heads = [dict(type='FCNHead', num_classes=14, out_channels=14), dict(type='FCNHead', num_classes=3)]
    cfg.model.auxiliary_head = heads
    cfg.model.test_cfg = dict(mode='slide', crop_size=(64, 64), stride=(48, 48))
    data = load_config(CAMVID)
    merged = on_data(cfg, data)
    assert [head.num_classes for head in merged.model.auxiliary_head] == [11, 11]
    assert merged.model.auxiliary_head[0].out_channels == 11
    assert merged.model.test_cfg == dict(mode='slide', crop_size=(192, 192), stride=(144, 144))
    assert merged.model.backbone.img_size == merged.model.data_preprocessor.size == (192, 192)


def test_classes_of_the_config_come_first():
    data = load_config(CAMVID)
    data.val_dataloader.dataset.metainfo = dict(classes=('a', 'b'))
    assert classes_of_data(data) == ['a', 'b']


@pytest.mark.parametrize(('change', 'said'), [
    (dict(val_dataloader=None), 'has no train_dataloader and val_dataloader'),
    (dict(val_dataloader=dict(dataset=dict(type='BaseSegDataset', data_root='x'))), 'classes of its data are unknown')])
def test_data_that_are_none(change, said):
    data = load_config(CAMVID)
    data = Config({**data._cfg_dict, **change}, filename=CAMVID)
    with pytest.raises(InputError, match=said):
        on_data(load_config(VITTM), data)
    with pytest.raises(InputError, match='has no model'):
        on_data(load_config(TOY), load_config(CAMVID))
