"""Segmentors as configs describe them."""
import pytest
import torch
from measuring import sliding_config
from mmengine.config import Config

from mmseg_vittm.errors import CheckpointError, InputError
from mmseg_vittm.measure.segmentors import build_segmentor


def test_checkpoints_must_fit(tmp_path):
    cfg = Config.fromfile(sliding_config(tmp_path))
    model = build_segmentor(cfg)
    meta = dict(dataset_meta=dict(classes=tuple('abcdefghijklmn')))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), tmp_path / 'ok.pth')
    loaded = build_segmentor(cfg, str(tmp_path / 'ok.pth'))
    assert all(torch.equal(weight, loaded.state_dict()[name]) for name, weight in model.state_dict().items())
    cfg.model.backbone.read_write_head = 'cross'
    with pytest.raises(CheckpointError, match='ok.pth'):
        build_segmentor(cfg, str(tmp_path / 'ok.pth'))
    cfg.model.backbone.read_write_head = 'none'
    with pytest.raises(InputError, match='cannot be built.*none'):
        build_segmentor(cfg)
    with pytest.raises(InputError, match='no model'):
        build_segmentor(Config(dict(train_cfg=None)))
