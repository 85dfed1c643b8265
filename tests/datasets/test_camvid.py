"""CamVid: the laboratory's split as its config reads it."""
import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS
from tiny_models import ROOT


@pytest.fixture
def camvid(shared, mmseg_scope):
    return shared / 'camvid'


def build(loader: str, root):
    cfg = Config.fromfile(ROOT / 'configs' / 'camvid' / 'vittm_32_8.py')
    return DATASETS.build(cfg[loader].dataset | dict(data_root=str(root)))


@pytest.mark.parametrize('loader,frames', [('train_dataloader', 294), ('val_dataloader', 73), ('test_dataloader', 101)])
def test_the_splits(loader, frames, camvid):
    assert len(build(loader, camvid)) == frames


def test_the_splits_do_not_overlap(camvid):
    names = [{sample['img_path'] for sample in map(build(loader, camvid).get_data_info, range(frames))}
             for loader, frames in (('train_dataloader', 294), ('val_dataloader', 73), ('test_dataloader', 101))]
    assert len(set().union(*names)) == 294 + 73 + 101


def test_classes_of_the_labels(camvid):
    dataset = build('val_dataloader', camvid)
    assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == 11
    shares = np.zeros(256)
    for i in range(0, len(dataset), 8):
        labels = dataset[i]['data_samples'].gt_sem_seg.data.numpy()
        shares += np.bincount(labels.ravel(), minlength=256)
    order = np.argsort(shares[:11])[::-1]
    assert set(labels.ravel()) <= {*range(11), 255} and dataset.metainfo['classes'][order[0]] == 'road'
