"""What is measured on: synthetic images, a data set's, random crops."""
import pytest
import torch
from measuring import ade_config
from mmengine.config import Config

from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.benchmark.images import SYNTHETIC_SIZES, Crops, Images, check_same_images
from mmseg_vittm.measure.segmentors import build_segmentor


def test_synthetic_images_have_the_stated_sizes(config):
    cfg = Config.fromfile(config)
    source, model = Images(cfg, real=False, batch_size=2), build_segmentor(cfg)
    for index in (0, 2, 4, 20):
        height, width = SYNTHETIC_SIZES[index % 20]
        inputs, samples = source.prepare(index, model)
        short = 64 / min(height, width)
        assert inputs.shape == (2, 3, round(height * short), round(width * short)) and len(samples) == 2
        assert samples[0].ori_shape == (height, width) and 'gt_sem_seg' not in samples[0]
    assert torch.equal(source.prepare(0, model)[0], source.prepare(20, model)[0])
    assert not torch.equal(source.prepare(0, model)[0], source.prepare(1, model)[0])
    assert SYNTHETIC_SIZES[0] == (512, 683) and '9 of 512 x 683' in source.describe()
    assert [SYNTHETIC_SIZES.count(size) for size in ((512, 683), (512, 768), (683, 512), (375, 500), (512, 512),
                                                     (512, 910), (768, 512))] == [9, 3, 2, 2, 2, 1, 1]
    square = Images(cfg, False, 1, (100, 200))
    assert square.prepare(7, model)[0].shape == (1, 3, 64, 128) and '100 x 200' in square.describe()


def test_one_real_image_cycles(tmp_path, folder):
    cfg = ade_config(tmp_path, folder)
    source, model = Images(cfg, real=True, batch_size=1), build_segmentor(cfg)
    assert len(source) == 1 and source.name(0) == source.name(7) == str(folder / 'images' / 'validation' / 'one.jpg')
    inputs, (sample, ) = source.prepare(3, model)
    assert inputs.shape == (1, 3, 64, 107) and sample.ori_shape == (30, 50)
    assert inputs.min() >= -1 and inputs.max() <= 1  # normalised by the model
    (folder / 'images' / 'validation' / 'one.jpg').write_bytes(b'')
    with pytest.raises(InputError, match='one.jpg'):
        source.prepare(0, model)
    (folder / 'images' / 'validation' / 'one.jpg').unlink()
    with pytest.raises(InputError, match='no images'):
        Images(cfg, real=True, batch_size=1)


def test_configs_must_read_the_same_images(tmp_path, folder, config):
    real, synthetic = Images(ade_config(tmp_path, folder), True, 1), Images(Config.fromfile(config), False, 1)
    check_same_images([synthetic, synthetic, synthetic], 30)
    with pytest.raises(InputError, match='different images'):
        check_same_images([real, synthetic], 1)


def test_no_synthetic_images_for_other_files(config):
    cfg = Config.fromfile(config)
    cfg.test_dataloader.dataset.pipeline[0].type = 'LoadBiomedicalImageFromFile'
    with pytest.raises(InputError, match='LoadBiomedicalImageFromFile.*data_root=DIR'):
        Images(cfg, False, 1)
    cfg.test_dataloader = None
    with pytest.raises(InputError, match='test_dataloader'):
        Images(cfg, False, 1)


def test_crops(config):
    cfg = Config.fromfile(config)
    crops = Crops(cfg, 5)
    inputs, samples = crops.prepare(0, build_segmentor(cfg))
    assert inputs.shape == (5, 3, 64, 64) and samples is None and len(crops) == 1
    cfg.model.test_cfg, cfg.model.data_preprocessor.size = dict(mode='whole'), None
    cfg.crop_size = None
    with pytest.raises(InputError, match='crop_size'):
        Crops(cfg, 5)
