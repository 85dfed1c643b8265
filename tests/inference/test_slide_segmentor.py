"""SlideSegmentor against MMSegmentation's EncoderDecoder: the same labels in every mode, size and class count."""
import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from tiny_models import ROOT
from torch import nn

import mmseg_vittm  # noqa: F401  (registers)
from mmseg_vittm.inference.prediction import confidence_of
from mmseg_vittm.inference.slide_segmentor import SlideSegmentor, SlideTTAModel
from mmseg_vittm.measure.benchmark.peak import peak_mib

SLIDE = dict(mode='slide', crop_size=(64, 96), stride=(40, 80))


@MODELS.register_module()
class CellBackbone(nn.Module):
    """One convolution: a cell per 8 pixels, as quick as can be."""

    def __init__(self, channels: int = 16, patch: int = 8):
        super().__init__()
        self.conv = nn.Conv2d(3, channels, patch, stride=patch, padding=patch // 2)
        self.batches = []

    def forward(self, images):
        self.batches.append(len(images))
        return (self.conv(images).relu(), )


def pair(test_cfg: dict, classes: int = 19, align_corners: bool = False, head: str = 'FCNHead',
         **head_options) -> tuple[EncoderDecoder, SlideSegmentor]:
    """The stock segmentor and ours with the same weights."""
    torch.manual_seed(0)
    options = dict(num_convs=0, concat_input=False, channels=16) if head == 'FCNHead' else dict(channels=8)
    options |= dict(in_channels=16, num_classes=classes, align_corners=align_corners, dropout_ratio=0.0,
                    loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)) | head_options
    models = []
    with DefaultScope.overwrite_default_scope('mmseg'):
        for kind in ('EncoderDecoder', 'SlideSegmentor'):
            models.append(MODELS.build(dict(
                type=kind, backbone=dict(type='CellBackbone'), decode_head=dict(type=head, **options), train_cfg=dict(),
                test_cfg=ConfigDict(copy.deepcopy(test_cfg)))).eval().requires_grad_(False))
    stock, ours = models
    for weight in stock.parameters():
        nn.init.normal_(weight, std=0.5)
    ours.load_state_dict(stock.state_dict())
    return stock, ours


def smooth(height: int, width: int, batch: int = 1, seed: int = 0) -> torch.Tensor:
    """Images of low frequencies, so that labels form regions."""
    noise = torch.randn(batch, 3, 7, 9, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(noise, (height, width), mode='bicubic')


def samples(images: torch.Tensor, original: tuple[int, int] | None = None, **meta) -> list[SegDataSample]:
    """What a test pipeline passes on."""
    size = tuple(images.shape[2:])
    return [SegDataSample(metainfo=dict(ori_shape=original or size, img_shape=size) | meta) for _ in images]


def assert_same_labels(stock: EncoderDecoder, ours: SlideSegmentor, images: torch.Tensor, data_samples=None,
                       least: float = 0.9999) -> None:
    """Labels agree but where two logits are equal to rounding, and in all but one pixel of 10,000."""
    with torch.no_grad():
        expected = stock.predict(images, copy.deepcopy(data_samples))
        got = ours.predict(images, copy.deepcopy(data_samples))
    assert len(got) == len(expected) == len(images)
    for one, other in zip(expected, got, strict=True):
        reference, labels = one.pred_sem_seg.data, other.pred_sem_seg.data
        assert labels.shape == reference.shape and labels.dtype == reference.dtype
        wrong = (labels != reference)[0]
        top = one.seg_logits.data.topk(2, dim=0).values
        assert not (wrong & (top[0] - top[1] > 1e-4)).any()
        assert wrong.sum() <= max(1, (1 - least) * wrong.numel())


@pytest.mark.parametrize('height,width', [(64, 96), (64, 97), (1, 1), (8, 300), (150, 200), (63, 40), (201, 95)])
@pytest.mark.parametrize('align_corners', [False, True])
def test_slide(height, width, align_corners):
    stock, ours = pair(SLIDE, align_corners=align_corners)
    images = smooth(height, width)
    assert_same_labels(stock, ours, images, samples(images))
    assert_same_labels(stock, ours, images, samples(images, (height * 2 + 1, max(1, width // 3))))
    assert_same_labels(stock, ours, images)


@pytest.mark.parametrize('classes', [2, 3, 150, 300])
@pytest.mark.parametrize('mode', ['slide', 'whole'])
def test_modes_and_class_counts(classes, mode):
    stock, ours = pair(SLIDE if mode == 'slide' else dict(mode='whole'), classes)
    images = smooth(100, 130, batch=2)
    assert_same_labels(stock, ours, images, samples(images, (90, 133)))


@pytest.mark.parametrize('flip', [None, 'horizontal', 'vertical'])
@pytest.mark.parametrize('key', ['padding_size', 'img_padding_size'])
@pytest.mark.parametrize('mode', ['slide', 'whole'])
def test_padding_and_flips(flip, key, mode):
    stock, ours = pair(SLIDE if mode == 'slide' else dict(mode='whole'))
    images = smooth(100, 130)
    meta = {key: [3, 7, 5, 11], 'pad_shape': (100, 130), 'flip': flip is not None, 'flip_direction': flip}
    assert_same_labels(stock, ours, images, samples(images, (77, 151), **meta))


def test_images_of_a_batch_have_sizes_of_their_own():
    stock, ours = pair(SLIDE)
    images = smooth(100, 130, batch=3)
    data_samples = [sample for size in ((50, 60), (100, 130), (210, 31)) for sample in samples(images[:1], size)]
    assert_same_labels(stock, ours, images, data_samples)


def test_random_sizes():
    hypothesis = pytest.importorskip('hypothesis', reason='draws the sizes')
    numbers = hypothesis.strategies.integers

    @hypothesis.settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @hypothesis.given(height=numbers(1, 1500), width=numbers(1, 2300), out=numbers(1, 900), crop=numbers(16, 1200),
                      overlap=numbers(0, 15), classes=numbers(2, 9), align_corners=hypothesis.strategies.booleans())
    @hypothesis.example(height=1500, width=2300, out=700, crop=512, overlap=32, classes=3, align_corners=False)
    @hypothesis.example(height=1, width=1, out=1, crop=512, overlap=32, classes=2, align_corners=False)
    def check(height, width, out, crop, overlap, classes, align_corners):
        stock, ours = pair(dict(mode='slide', crop_size=(crop, crop), stride=(crop - overlap, crop - overlap)), classes,
                           align_corners)
        images = smooth(height, width)
        assert_same_labels(stock, ours, images, samples(images, (out, 1 + out // 2)))

    check()


def test_logits_on_request():
    stock, ours = pair(SLIDE)
    images = smooth(100, 130)
    data_samples = samples(images, (90, 150))
    assert 'seg_logits' not in ours.predict(images, copy.deepcopy(data_samples))[0]
    ours.test_cfg['with_logits'] = True
    expected, got = (model.predict(images, copy.deepcopy(data_samples))[0] for model in (stock, ours))
    torch.testing.assert_close(got.seg_logits.data, expected.seg_logits.data, atol=1e-4, rtol=1e-4)
    assert_same_labels(stock, ours, images, data_samples)


def test_one_channel_is_a_threshold():
    stock, ours = pair(SLIDE, classes=2, out_channels=1, threshold=0.4,
                       loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))
    images = smooth(100, 130)
    expected, got = (model.predict(images, samples(images, (90, 150)))[0] for model in (stock, ours))
    assert 0.02 < expected.pred_sem_seg.data.mean() < 0.98
    torch.testing.assert_close(got.seg_logits.data, expected.seg_logits.data, atol=1e-5, rtol=1e-4)
    assert (got.pred_sem_seg.data == expected.pred_sem_seg.data).float().mean() >= 0.9999
    assert got.pred_sem_seg.data.dtype == expected.pred_sem_seg.data.dtype


def test_windows_go_through_the_network_together():
    _, ours = pair(SLIDE)
    images = smooth(100, 130, batch=2)  # 2 x 2 windows of 64 x 96 each
    results = []
    for window_batch, batches in ((None, [8]), (3, [3, 3, 2]), (1, [1] * 8), (100, [8])):
        ours.test_cfg['window_batch'], ours.backbone.batches = window_batch, []
        results.append([sample.pred_sem_seg.data for sample in ours.predict(images, samples(images))])
        assert ours.backbone.batches == batches
    for result in results[1:]:
        assert all((one == other).float().mean() >= 0.9999 for one, other in zip(results[0], result, strict=True))
    ours.test_cfg = ConfigDict(mode='slide', crop_size=(512, 512), stride=(512, 512))
    ours.backbone.batches = []
    big = smooth(1100, 512)
    ours.predict(big, samples(big))
    assert ours.backbone.batches == [3]
    ours.test_cfg = ConfigDict(mode='slide', crop_size=(1100, 512), stride=(512, 512))
    ours.backbone.batches = []
    ours.predict(big.expand(4, -1, -1, -1), samples(big.expand(4, -1, -1, -1)))
    assert ours.backbone.batches == [1] * 4  # 4 x 512 x 512 pixels hold one such window


def test_no_full_size_logits_exist():
    """150 classes at 1000 x 1500 are 858 MiB; no tensor on the way is a tenth of it."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, (list, tuple)) else [out]:
                if isinstance(tensor, torch.Tensor):
                    self.numbers = max(self.numbers, tensor.numel())
            return out

    _, ours = pair(SLIDE, classes=150)
    images = smooth(1000, 1500)
    with Largest() as largest:
        (sample, ) = ours.predict(images, samples(images))
    assert sample.pred_sem_seg.data.shape == (1, 1000, 1500)
    assert largest.numbers < 0.1 * 150 * 1000 * 1500



@pytest.mark.slow
def test_a_large_image_in_little_memory():
    """4096 x 4096 with 150 classes and ViTTM's cells of 28 pixels: 1.5 GiB at most; 150 maps are 9.4."""
    _, ours = pair(dict(mode='slide', crop_size=(504, 504), stride=(480, 480)), classes=150)
    ours.backbone = CellBackbone(patch=28).requires_grad_(False).eval()
    images = smooth(4096, 4096)
    peak = peak_mib(ours, lambda: ours.predict(images, samples(images)), torch.device('cpu'))
    if peak is None:
        pytest.skip('this system does not tell its peak of resident memory')
    assert 100 < peak < 1536


@pytest.mark.parametrize('head,options,linear', [
    ('FCNHead', {}, True), ('PSPHead', dict(pool_scales=(1, 2)), True), ('DAHead', dict(pam_channels=4), False)])
def test_other_heads(head, options, linear):
    """Heads with a `predict` of their own run as in EncoderDecoder, with its logits."""
    stock, ours = pair(SLIDE, head=head, **options)
    images = smooth(100, 130)
    assert_same_labels(stock, ours, images, samples(images, (90, 150)))
    assert ('seg_logits' in ours.predict(images, samples(images))[0]) != linear


def test_wrong_options():
    _, ours = pair(dict(mode='other'))
    images = smooth(10, 10)
    with pytest.raises(ValueError, match="'slide' or 'whole', got 'other'"):
        ours.predict(images, samples(images))
    ours.test_cfg['mode'] = 'whole'
    with pytest.raises(ValueError, match='diagonal'):
        ours.predict(images, samples(images, flip=True, flip_direction='diagonal'))


def test_training_is_encoder_decoders():
    stock, ours = pair(SLIDE)
    images, data_samples = smooth(64, 96), samples(smooth(64, 96))
    from mmengine.structures import PixelData
    data_samples[0].gt_sem_seg = PixelData(data=torch.randint(0, 19, (1, 64, 96)))
    assert stock.loss(images, data_samples) == ours.loss(images, data_samples)


def test_test_time_augmentation_gets_logits():
    stock, ours = pair(SLIDE)
    images = smooth(100, 130)
    views = [(images, {}), (images.flip(3), dict(flip=True, flip_direction='horizontal'))]
    merged = []
    for model in (stock, ours):
        tta = SlideTTAModel(model)
        predictions = [[model.predict(view, samples(view, (90, 150), img_path='x', **meta))[0] for view, meta in views]]
        probable = torch.stack([one.seg_logits.data.softmax(0) for one in predictions[0]]).mean(0)
        [found] = tta.merge_preds(predictions)
        assert 'seg_logits' not in found and found.confidence.data.shape == (1, 90, 150)
        assert torch.allclose(confidence_of(found), probable.amax(0), atol=1e-5)
        merged.append(found.pred_sem_seg.data)
    assert (merged[0] == merged[1]).float().mean() >= 0.9999


def test_test_time_augmentation_with_confidence_asked_for():
    _, ours = pair(SLIDE | dict(with_confidence=True))
    images, tta = smooth(100, 130), SlideTTAModel(ours)
    views = [(images, {}), (images.flip(3), dict(flip=True, flip_direction='horizontal'))]
    given = [ours.predict(view, samples(view, (90, 150), img_path='x', **meta))[0] for view, meta in views]
    of_views = [one.confidence.data for one in given]
    [found] = tta.merge_preds([given])
    assert not any(torch.allclose(found.confidence.data, one, atol=1e-4) for one in of_views)


def test_test_time_augmentation_of_one_channel():
    """Labels are those of the mean probability; the view alone is what it was."""
    _, ours = pair(SLIDE, classes=2, out_channels=1, threshold=0.4,
                   loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))
    images = smooth(100, 130)
    [alone] = ours.predict(images, samples(images, (90, 150), img_path='x'))
    labels, probable = alone.pred_sem_seg.data.clone(), alone.seg_logits.data.clone()
    assert 0 < labels.mean() < 1
    [found] = SlideTTAModel(ours).merge_preds([[alone]])
    assert torch.equal(found.pred_sem_seg.data, labels)
    assert torch.equal(found.confidence.data, torch.where(labels > 0, probable, 1 - probable))


@pytest.mark.parametrize('stem', ['ADE_val_00000001', 'ADE_val_00000002', 'ADE_val_00000003'])
def test_real_images(stem, shared):
    """A narrow ViTTM and Segmenter's head, 150 classes, on the real pairs through the ADE20K test pipeline's sizes."""
    from PIL import Image
    path = shared / 'ade20k_sample' / 'ADEChallengeData2016' / 'images' / 'validation' / f'{stem}.jpg'
    picture = Image.open(path).convert('RGB')
    scale = 504 / min(picture.size)
    resized = picture.resize([round(side * scale) for side in picture.size], Image.BILINEAR)
    images = torch.from_numpy(np.array(resized)).permute(2, 0, 1)[None].float() / 127.5 - 1
    cfg = Config.fromfile(ROOT / 'configs' / 'segmenter_vittm_b_ade20k.py')
    cfg.model.backbone.arch = dict(embed_dims=48, num_layers=2, num_heads=3, mlp_ratio=4.0)
    cfg.model.decode_head.update(in_channels=96, channels=48, embed_dims=48, num_heads=3)
    models = []
    with DefaultScope.overwrite_default_scope('mmseg'):
        for kind in ('EncoderDecoder', 'SlideSegmentor'):
            torch.manual_seed(0)
            models.append(MODELS.build({**cfg.model, 'type': kind}).eval().requires_grad_(False))
    models[1].load_state_dict(models[0].state_dict())
    assert_same_labels(*models, images, samples(images, picture.size[::-1]))
