"""Segmentors under measurement: their calls, windows, GFLOPs, number formats."""
import pytest
import torch
from measuring import make_subject
from mmengine.config import Config

from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.benchmark.report import record, tables
from mmseg_vittm.measure.complexity.counting import multiply_adds, multiply_adds_on
from mmseg_vittm.measure.segmentors import build_segmentor


@pytest.mark.parametrize('kind,shapes', [
    ('EncoderDecoder', [(3, 3, 64, 64)] * 2), ('SlideSegmentor', [(6, 3, 64, 64)])])
def test_windows_and_gflops_by_hand(config, kind, shapes):
    """512 x 683 becomes 64 x 85: two windows of 64 x 64."""
    cfg = Config.fromfile(config)
    cfg.model.type = kind
    measured = make_subject(config, cfg, batch_size=3)
    call = measured.run(0)
    assert call.shapes == shapes
    measured.run(8)  # 512 x 512: one window
    window = multiply_adds(measured.built.blueprint, (1, 3, 64, 64))[0]
    assert measured.windows_per_image == 1.5
    assert measured.gflops() == pytest.approx(1.5 * window / 1e9)
    measured.run(0, keep=False)
    measured.measure_peak()
    assert len(measured.calls) == 2 and measured.windows_per_image == 1.5


def test_gflops_of_a_model_whose_cost_depends_on_the_image_are_of_its_images(config):
    cfg = Config.fromfile(config)
    cfg.model.type = 'SlideSegmentor'
    cfg.model.backbone = dict(type='ALGM', model_name='vit_tiny_patch16_224', img_size=64, num_layers=2,
                              global_layer=1, local_threshold=-1.0, global_threshold=1.0)
    cfg.model.decode_head.update(in_channels=192)
    cfg.model.pop('auxiliary_head', None)
    measured = make_subject(config, cfg)
    for item in (0, 1):  # two windows each
        measured.run(item)
    window = multiply_adds_on(measured.model, torch.zeros(1, 3, 64, 64))[0]
    assert measured.gflops() == pytest.approx(2 * window / 1e9)
    cfg.model.backbone.local_threshold = 1.0
    plain = make_subject(config, cfg)
    plain.run(0)
    assert plain.gflops() > 1.3 * measured.gflops()


def test_models_run_without_gradients_in_evaluation_mode(config):
    cfg = Config.fromfile(config)
    cfg.model.type = 'EncoderDecoder'
    measured = make_subject(config, cfg)
    seen = []
    measured.model.backbone.register_forward_hook(
        lambda module, args, out: seen.append((module.training, torch.is_grad_enabled(), out[0].requires_grad)))
    measured.run(0)
    measured.measure_peak()
    assert seen == [(False, False, False)] * 4  # two windows in each call
    # Autocast keeps casts of weights only where they could have gradients, as in MMSegmentation's own loop.
    assert all(weight.requires_grad for weight in measured.model.parameters())


@pytest.mark.parametrize('kind', ['EncoderDecoder', 'SlideSegmentor'])
@pytest.mark.parametrize('dtype,expected', [('fp32', torch.float32), ('bf16', torch.bfloat16)])
def test_dtypes(config, dtype, expected, kind):
    cfg = Config.fromfile(config)
    cfg.model.type = kind
    measured = make_subject(config, cfg, dtype=dtype)
    seen = []
    measured.model.decode_head.dec_proj.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    measured.run(0)
    assert set(seen) == {expected}
    stored = {weight.dtype for weight in measured.model.parameters()}
    assert stored == ({torch.float32} if kind == 'EncoderDecoder' else {torch.float32, expected})  # optimized


def test_a_model_that_fails_is_named(config):
    cfg = Config.fromfile(config)
    measured = make_subject(config, cfg)

    def fail(*args, **kwargs):
        raise RuntimeError('sizes do not match')

    measured.model.decode_head.forward = fail
    with pytest.raises(InputError, match=r'tiny.py: the model fails on 512 x 683.*sizes do not match'):
        measured.run(0)


class Pruning(torch.nn.Module):
    """A head that looks at values, as dynamic token pruning does; the meta device has none."""

    def __init__(self, head):
        super().__init__()
        self.head, self.align_corners, self.out_channels = head, head.align_corners, head.out_channels

    def forward(self, inputs):
        inputs[0][inputs[0] > 10] = 0
        assert inputs[0].sum().item() == inputs[0].sum()
        return self.head.forward(inputs)

    def predict(self, inputs, metas, test_cfg):
        return self.head.predict_by_feat(self.forward(inputs), metas)


class Unusual(Pruning):
    """A head whose forward pass needs more than features, such as Mask2Former's."""

    def forward(self, inputs, metas):
        return self.head.forward(inputs)

    def predict(self, inputs, metas, test_cfg):
        return self.head.predict_by_feat(self.forward(inputs, metas), metas)


@pytest.mark.parametrize('kind,counted', [(Pruning, True), (Unusual, False)])
def test_models_that_cannot_be_counted_are_measured_all_the_same(config, kind, counted, monkeypatch):
    cfg = Config.fromfile(config)
    expected = multiply_adds(build_segmentor(cfg), (1, 3, 64, 64))[0] / 1e9

    def build(*args):
        model = build_segmentor(*args)
        model.decode_head = kind(model.decode_head)
        return model

    monkeypatch.setattr('mmseg_vittm.measure.benchmark.building.build_segmentor', build)
    measured = make_subject(config, cfg)
    measured.run(8)  # 512 x 512: one window
    row = record(measured, measured, images=1, repeat=1, warmup=0)
    assert row['fps'] > 0 and row['stages_ms']['head'] > 0
    assert row['gflops'] == (pytest.approx(expected) if counted else None)
    assert tables([row])


def test_segmentors_of_another_make(config, monkeypatch):
    """Without backbone and head, as SAN's, there is a time in all."""
    class Other(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.image_encoder, self.data_preprocessor = inner, inner.data_preprocessor

        def forward(self, inputs, data_samples, mode):
            return self.image_encoder(inputs, data_samples, mode=mode)

    monkeypatch.setattr('mmseg_vittm.measure.benchmark.building.build_segmentor',
                        lambda *args: Other(build_segmentor(*args)))
    measured = make_subject(config)
    measured.run(0)
    row = record(measured, measured, images=1, repeat=1, warmup=0)
    assert row['fps'] > 0 and row['windows_per_image'] is None and row['gflops'] is None
    assert row['stages_ms'] == dict(backbone=None, head=None, post=None)
    assert tables([row])
