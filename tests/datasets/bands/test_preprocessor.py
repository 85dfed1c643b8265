"""BandsPreProcessor: the stock preprocessor's numbers, for any number of bands, on both stacks."""
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_vittm.datasets import BandsPreProcessor
from mmseg_vittm.errors import InputError


def batch(count, sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = [torch.rand(count, *size, generator=generator) * 60000 for size in sizes]
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, *size, dtype=torch.uint8))) for size in sizes]
    return dict(inputs=images, data_samples=samples)


@pytest.mark.parametrize('training', [True, False])
def test_of_three_bands_it_is_the_stock_one(training):
    options = dict(mean=[100., 2000., 30.], std=[5., 600., 70.], size=(16, 24), pad_val=0, seg_pad_val=255,
                   test_cfg=dict(size_divisor=8))
    sizes = [(10, 20), (16, 9)] if training else [(10, 20)] * 2
    ours = BandsPreProcessor(**options)(batch(3, sizes), training)
    stock = SegDataPreProcessor(**options)(batch(3, sizes), training)
    assert torch.equal(ours['inputs'], stock['inputs'])
    for one, other in zip(ours['data_samples'], stock['data_samples'], strict=True):
        assert one.metainfo == other.metainfo and torch.equal(one.gt_sem_seg.data, other.gt_sem_seg.data)


@pytest.mark.parametrize('count', [1, 2, 4, 8, 13])
@pytest.mark.parametrize('training', [True, False])
def test_any_number_of_bands(count, training):
    mean, std = [100. * band for band in range(count)], [1. + band for band in range(count)]
    built = MODELS.build(dict(type='BandsPreProcessor', mean=mean, std=std, size=(12, 12), pad_val=-3.,
                              seg_pad_val=255))
    data = batch(count, [(10, 12)] * 2)
    images = [image.clone() for image in data['inputs']]
    found = built(data, training)
    for image, result, sample in zip(images, found['inputs'], found['data_samples'], strict=True):
        for band in range(count):
            assert torch.equal(result[band, :10], (image[band] - mean[band]) / std[band])
        if training:
            assert (result[:, 10:] == -3).all() and (sample.gt_sem_seg.data[:, 10:] == 255).all()
        else:
            assert result.shape[1:] == (10, 12)


def test_it_takes_a_stacked_batch():
    found = BandsPreProcessor([0.] * 4, [1.] * 4)(dict(inputs=torch.ones(2, 4, 5, 5), data_samples=None))
    assert torch.equal(found['inputs'], torch.ones(2, 4, 5, 5))


def test_another_number_of_bands_names_the_image():
    built, data = BandsPreProcessor([0.] * 4, [1.] * 4), batch(3, [(8, 8)])
    data['data_samples'][0].set_metainfo(dict(img_path='a/b.tif'))
    with pytest.raises(InputError, match=r'a/b\.tif: has 3 bands, the mean of the data preprocessor 4'):
        built(data)
    with pytest.raises(InputError, match='an image: has 3 bands'):
        built(dict(inputs=torch.zeros(1, 3, 8, 8)))


@pytest.mark.parametrize('mean,std,words', [
    ([0.] * 4, [1.] * 3, 'mean has 4 numbers, std 3'), ([], [], 'one of each per band'),
    ([0.], [0.], 'std above 0'), ([float('nan')], [1.], 'finite')])
def test_wrong_numbers(mean, std, words):
    with pytest.raises(InputError, match=words):
        BandsPreProcessor(mean, std)


def test_it_has_no_weights():
    assert not BandsPreProcessor([0.] * 4, [1.] * 4).state_dict()
