"""The benchmark: images, turns, stages, reports, the tool and the scripts of benchmarks/."""
import io
import itertools
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from tiny_models import ROOT
from tool_inside import error_inside
from tool_runs import run_tool, write_config

from mmseg_vittm.errors import CheckpointError, InputError
from mmseg_vittm.inference.fast import optimize
from mmseg_vittm.measure import conditions, interleaved, memory, stages
from mmseg_vittm.measure.benchmark.images import SYNTHETIC_SIZES, Crops, Images, check_same_images
from mmseg_vittm.measure.benchmark.profiling import kind_of
from mmseg_vittm.measure.benchmark.report import record, tables
from mmseg_vittm.measure.benchmark.stages import Call, StageTimer
from mmseg_vittm.measure.benchmark.subject import Settings, Subject, build_segmentor, compile_parts
from mmseg_vittm.measure.complexity.counting import multiply_adds

CPU = torch.device('cpu')
KEYS = {'config', 'device', 'dtype', 'compile', 'torch', 'batch_size', 'images', 'image_size', 'windows_per_image',
        'fps', 'fps_mean', 'latency_ms_median', 'latency_ms_p95', 'ratio_to_first', 'params_m', 'gflops',
        'peak_memory_mb', 'stages_ms'}
SLIDE = """
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(2048, 64), keep_ratio=True),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs'),
]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
model['test_cfg'] = dict(_delete_=True, mode='slide', crop_size=(64, 64), stride=(48, 48))
"""


@pytest.fixture
def config(tmp_path) -> Path:
    """A tiny ViTTM that slides over images of 64 pixels in height."""
    return write_config(tmp_path, more=SLIDE)


@pytest.fixture
def folder(tmp_path) -> Path:
    """ADE20K's layout with one validation image, 30 x 50."""
    for part in ('images', 'annotations'):
        (tmp_path / 'ade' / part / 'validation').mkdir(parents=True)
    pixels = np.arange(30 * 50 * 3, dtype=np.uint8).reshape(30, 50, 3)
    Image.fromarray(pixels).save(tmp_path / 'ade' / 'images' / 'validation' / 'one.jpg')
    Image.fromarray(pixels[..., 0]).save(tmp_path / 'ade' / 'annotations' / 'validation' / 'one.png')
    return tmp_path / 'ade'


def ade_config(tmp_path: Path, folder: Path) -> Config:
    """The tiny model on ADE20K's data set class."""
    cfg = Config.fromfile(write_config(tmp_path, more=SLIDE))
    cfg.test_dataloader.dataset = dict(
        type='ADE20KDataset', data_root=str(folder), pipeline=cfg.test_pipeline,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'))
    return cfg


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


def test_no_synthetic_images_for_other_loaders(config):
    cfg = Config.fromfile(config)
    cfg.test_dataloader.dataset.pipeline[0].type = 'LoadBiomedicalImageFromFile'
    with pytest.raises(InputError, match='LoadBiomedicalImageFromFile.*--data-root'):
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


@pytest.mark.parametrize('kind,shapes', [
    ('EncoderDecoder', [(3, 3, 64, 64)] * 2), ('SlideSegmentor', [(6, 3, 64, 64)])])
def test_windows_and_gflops_by_hand(config, kind, shapes):
    """512 x 683 becomes 64 x 85: two windows of 64 x 64."""
    cfg = Config.fromfile(config)
    cfg.model.type = kind
    measured = Subject(str(config), cfg, Settings(CPU, batch_size=3))
    call = measured.run(0)
    assert call.shapes == shapes
    measured.run(8)  # 512 x 512: one window
    window = multiply_adds(measured.blueprint, (1, 3, 64, 64))[0]
    assert measured.windows_per_image == 1.5
    assert measured.gflops() == pytest.approx(1.5 * window / 1e9)
    measured.run(0, keep=False)
    measured.measure_memory()
    assert len(measured.calls) == 2 and measured.windows_per_image == 1.5


def test_products_are_those_of_backbone_and_head(config):
    """Noted once per set of inputs: as many multiply-adds as are counted, the weights themselves, nothing after it."""
    from torch.utils.flop_counter import FlopCounterMode
    measured = Subject(str(config), Config.fromfile(config), Settings(CPU, products=True))
    calls = [measured.run(index) for index in (0, 0, 8)]
    assert all(0 < call.products < 10 for call in calls) and len(measured._recorded) == 2
    recorder = measured._recorded[((2, 3, 64, 64), )]
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        for func, args, kwargs in recorder.calls:
            func(*args, **kwargs)
    attention = [func for func, _, _ in recorder.calls if 'scaled_dot_product' in func.name()]
    counted = counter.get_total_flops() / 2
    expected = 2 * multiply_adds(measured.model, (1, 3, 64, 64), measured.blueprint)[0]
    missing = len(attention) * 2 * 2 * 64**2 * 48  # fused on a CPU: FlopCounterMode does not see it
    assert counted == expected or counted + missing == expected
    stored = {weight.data_ptr() for weight in measured.model.parameters()}
    assert sum(arg.data_ptr() in stored for _, args, _ in recorder.calls for arg in args
               if isinstance(arg, torch.Tensor)) > 20
    row = record(measured, measured, images=2, repeat=1, warmup=0)
    assert row['network_over_products'] > 1
    assert '/ prod.' in [column.header for column in tables([row])[1].columns]


def test_throughput_is_forward_only(config):
    measured = Subject(str(config), Config.fromfile(config), Settings(CPU, batch_size=4, throughput=True))
    call = measured.run(0)
    assert call.shapes == [(4, 3, 64, 64)] and measured.windows_per_image == 1
    row = record(measured, measured, images=1, repeat=1, warmup=0)
    assert row['protocol'] == 'throughput' and row['fps'] == pytest.approx(4 / call.seconds)
    assert 'crops/s' in [column.header for column in tables([row])[0].columns]


def test_models_run_without_gradients_in_evaluation_mode(config):
    cfg = Config.fromfile(config)
    cfg.model.type = 'EncoderDecoder'
    measured = Subject(str(config), cfg, Settings(CPU))
    seen = []
    measured.model.backbone.register_forward_hook(
        lambda module, args, out: seen.append((module.training, torch.is_grad_enabled(), out[0].requires_grad)))
    measured.run(0)
    measured.measure_memory()
    assert seen == [(False, False, False)] * 4  # two windows in each call
    # Autocast keeps casts of weights only where they could have gradients, as in MMSegmentation's own loop.
    assert all(weight.requires_grad for weight in measured.model.parameters())


@pytest.mark.parametrize('kind', ['EncoderDecoder', 'SlideSegmentor'])
@pytest.mark.parametrize('dtype,expected', [('fp32', torch.float32), ('bf16', torch.bfloat16)])
def test_dtypes(config, dtype, expected, kind):
    cfg = Config.fromfile(config)
    cfg.model.type = kind
    measured = Subject(str(config), cfg, Settings(CPU, dtype))
    seen = []
    measured.model.decode_head.dec_proj.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    measured.run(0)
    assert set(seen) == {expected}
    stored = {weight.dtype for weight in measured.model.parameters()}
    assert stored == ({torch.float32} if kind == 'EncoderDecoder' else {torch.float32, expected})  # optimized


def test_devices_are_refused():
    with pytest.raises(InputError, match='xyz'):
        conditions.resolve_device('xyz')
    with pytest.raises(InputError, match='cuda:99'):
        conditions.resolve_device('cuda:99')


def test_names_of_devices(monkeypatch):
    monkeypatch.setattr(conditions, 'device_name', lambda device: 'Intel(R) Xeon(R) Gold 6330 CPU @ 2.00GHz')
    assert conditions.device_slug(CPU) == 'intel-xeon-gold-6330-cpu-2-00ghz'


class Part(torch.nn.Module):
    """Advances a clock by the time that it stands for."""

    def __init__(self, clock: list, seconds: float):
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def forward(self, tensor):
        self.clock[0] += self.seconds
        return tensor


def fake_segmentor(clock: list) -> torch.nn.Module:
    """2 s of backbone, 0.5 of neck, 3 + 4 of two heads, 1 s of the rest, heads called past their hooks."""
    model = torch.nn.Module()
    model.backbone, model.neck = Part(clock, 2.0), Part(clock, 0.5)
    model.decode_head = torch.nn.ModuleList([Part(clock, 3.0), Part(clock, 4.0)])
    model.rest = Part(clock, 1.0)
    return model


def call_all(model: torch.nn.Module) -> None:
    for part in (model.backbone, model.neck, model.decode_head[0].forward, model.decode_head[1].forward, model.rest):
        part(torch.zeros(1, 3, 8, 9))


def test_stages_by_a_clock_of_our_own(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(stages.time, 'perf_counter', lambda: clock[0])
    model = fake_segmentor(clock)
    timer = StageTimer(model, CPU)
    for _ in range(2):
        call = timer.time(lambda: call_all(model))
        assert call == Call(10.5, dict(backbone=2.5, head=7.0, network=0.0, post=1.0), [(1, 3, 8, 9)])


def test_stages_on_a_gpu_are_events_between_two_synchronisations(monkeypatch):
    """Without a GPU: events that read a clock, and a device that is 1 s behind until it is waited for."""
    clock, waits = [0.0], []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            self.at = clock[0]

        def elapsed_time(self, end):
            assert waits[-1] == 'after' or len(waits) == 2, 'read before the device was waited for'
            return 1000 * (end.at - self.at)

    def synchronize(device):
        waits.append('after' if waits else 'before')
        clock[0] += 1.0

    monkeypatch.setattr(stages.time, 'perf_counter', lambda: clock[0])
    monkeypatch.setattr(torch.cuda, 'Event', Event)
    monkeypatch.setattr(torch.cuda, 'synchronize', synchronize)
    model = fake_segmentor(clock)
    call = StageTimer(model, SimpleNamespace(type='cuda')).time(lambda: call_all(model))
    assert waits == ['before', 'after']
    assert call.seconds == 11.5 and call.stages == pytest.approx(dict(backbone=2.5, head=7.0, network=0.0, post=1.0))


class FakeSubject:
    """Notes when it runs; items have one of two sizes, by turns."""

    def __init__(self, name, order, compiled=False):
        self.path, self.order, self.settings = name, order, SimpleNamespace(compile=compiled)
        self.source, self.model = self, None

    def prepare(self, index, model):
        return torch.zeros(index % 2 + 1), None

    def run(self, index, keep):
        self.order.append((self.path, index, keep))

    def measure_memory(self):
        self.order.append((self.path, 'memory'))


def test_turns():
    order, seen = [], []
    subjects = [FakeSubject(name, order) for name in 'abc']
    interleaved.measure(subjects, images=20, warmup=1, repeat=2, progress=lambda *step: seen.append(step))
    rounds = [order[first:first + 3] for first in range(0, 123, 3)]
    assert [sorted(turn) for turn in rounds] == [[(name, item, keep) for name in 'abc'] for item, keep in (
        (0, False), *((item, True) for item in [*range(20), *range(20)]))]
    assert order[123:] == [(name, 'memory') for name in 'abc']
    assert seen == [(i + 1, 123, 'warming up' if i < 3 else 'measuring') for i in range(123)]
    after = [(one[0], other[0]) for one, other in itertools.pairwise(order[:123])]
    assert min(after.count(two) for two in itertools.permutations('abc', 2)) > 5  # everyone runs after everyone


def test_compilation_warms_up_on_every_size():
    subjects = [FakeSubject('a', [], compiled=True)]
    seen = []
    assert interleaved.warmup_items(subjects, 1, 6, lambda *step: seen.append(step)) == [0, 1, 1]
    assert seen[-1] == (6, 6, 'looking at sizes')
    assert interleaved.warmup_items([FakeSubject('a', [])], 1, 6, None) == [0]


def test_backbone_and_heads_are_compiled(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, 'compile', lambda function: compiled.append(function) or function)
    model = fake_segmentor([0.0])
    expected = [model.backbone.forward, model.neck.forward, *(head.forward for head in model.decode_head)]
    compile_parts(model)
    assert compiled == expected
    with pytest.raises(InputError, match='--compile: Module has no backbone'):
        compile_parts(torch.nn.Module())


def test_record_by_hand(config):
    first = Subject('first.py', Config.fromfile(config), Settings(CPU, batch_size=2))
    second = Subject('second.py', Config.fromfile(config), Settings(CPU, batch_size=2))
    for measured, times in ((first, (1.0, 2.0, 4.0)), (second, (0.5, 0.5, 4.0))):
        measured.inputs[(64, 85)] = 3
        measured.calls = [Call(seconds, dict(backbone=seconds / 2, head=seconds / 4, network=0.0, post=seconds / 4),
                               [(2, 3, 64, 64)] * 2) for seconds in times]
    row = record(second, first, images=3, repeat=1, warmup=0, cfg_options={'model.type': 'SlideSegmentor'})
    assert set(row) >= KEYS and set(row['stages_ms']) == {'backbone', 'head', 'post'}
    assert (row['fps'], row['fps_mean']) == (4.0, pytest.approx(2 * 3 / 5.0))
    assert (row['latency_ms_median'], row['latency_ms_p95']) == (500.0, pytest.approx(np.percentile(
        [500, 500, 4000], 95)))
    assert row['ratio_to_first'] == 2.0 and row['ratio_to_first_iqr'] == [1.5, 3.0]  # of 2, 4 and 1
    assert row['windows_per_image'] == 2 and row['image_size'] == [64, 85]
    assert row['stages_ms'] == dict(backbone=250.0, head=125.0, post=125.0)
    assert json.loads(json.dumps(row)) == row
    assert (row['source'], row['segmentor'], row['checkpoint']) == ('synthetic', 'SlideSegmentor', None)
    assert row['test_cfg'] == dict(mode='slide', crop_size=[64, 64], stride=[48, 48])
    assert row['cfg_options'] == {'model.type': 'SlideSegmentor'} and row['network_over_products'] is None
    assert [column.header for column in tables([row])[0].columns][:2] == ['config', 'FPS']


def test_memory_of_a_call():
    model = torch.nn.Linear(1024, 1024)  # 4 MiB
    peak = memory.peak_memory(model, lambda: torch.ones(64 * 2**20 // 4).sum(), CPU)
    if peak is None:
        pytest.skip('this system does not tell its peak of resident memory')
    assert 60 < peak < 90


def test_memory_on_a_gpu_is_what_the_call_added_and_the_weights(monkeypatch):
    """Without a GPU: an allocator that holds 100 MiB of others' and peaks at 130."""
    said = []
    for name, value in (('synchronize', None), ('reset_peak_memory_stats', None), ('memory_allocated', 100 * 2**20),
                        ('max_memory_allocated', 130 * 2**20)):
        monkeypatch.setattr(torch.cuda, name, lambda device, name=name, value=value: said.append(name) or value)
    peak = memory.peak_memory(torch.nn.Linear(1024, 1024, bias=False), lambda: said.append('call'),
                              SimpleNamespace(type='cuda'))
    assert peak == 34
    assert said == ['synchronize', 'reset_peak_memory_stats', 'memory_allocated', 'call', 'synchronize',
                    'max_memory_allocated']


def test_memory_is_unknown_where_the_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, 'STATUS', tmp_path / 'none')
    assert memory.peak_memory(torch.nn.Linear(1, 1), lambda: None, CPU) is None


def test_checkpoints_must_fit(config, tmp_path):
    cfg = Config.fromfile(config)
    model = build_segmentor(cfg)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=dict(classes=('a', )))), tmp_path / 'ok.pth')
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


def test_a_model_that_fails_is_named(config):
    cfg = Config.fromfile(config)
    measured = Subject(str(config), cfg, Settings(CPU))

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

    monkeypatch.setattr('mmseg_vittm.measure.benchmark.subject.build_segmentor', build)
    measured = Subject(str(config), cfg, Settings(CPU))
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

    monkeypatch.setattr('mmseg_vittm.measure.benchmark.subject.build_segmentor',
                        lambda *args: Other(build_segmentor(*args)))
    measured = Subject(str(config), Config.fromfile(config), Settings(CPU))
    measured.run(0)
    row = record(measured, measured, images=1, repeat=1, warmup=0)
    assert row['fps'] > 0 and row['windows_per_image'] is None and row['gflops'] is None
    assert row['stages_ms'] == dict(backbone=None, head=None, post=None)
    assert tables([row])


def test_tables_fit_80_columns():
    from rich.console import Console
    row = dict(config='configs/segmenter_vittm_b_49_196_ade20k.py', protocol='predict', fps=0.4353, fps_mean=0.4321,
               latency_ms_median=2299.1, latency_ms_p95=12986.2, ratio_to_first=1.973, ratio_to_first_iqr=[1.73, 12.09],
               params_m=125.4, gflops=1084.4, windows_per_image=1.9, peak_memory_mb=11225.0,
               stages_ms=dict(backbone=1138.0, head=190.0, post=None), segmentor='SlideSegmentor',
               dtype='fp32', compile=False, network_over_products=1.234)
    console = Console(width=80, record=True, file=io.StringIO())
    compiled = dict(dtype='bf16', compile=True, stages_ms=dict(backbone=None, head=None, network=1149.0, post=3.0))
    for table in tables([row, row | dict(segmentor='EncoderDecoder'), row | compiled]):
        console.print(table)
    text = console.export_text()
    assert '…' not in text and all(word in text for word in ('0.435', '1.73-12.09', '12986', '11225', '1084', '2299',
                                                '1149', 'compiled'))


def test_the_tool(config, tmp_path, monkeypatch, capsys):
    path = tmp_path / 'results.json'
    done = run_tool('benchmark.py', config, ROOT / 'configs' / 'segmenter_vit_t_toy.py', '--images', '2', '--warmup',
                    '1', '--repeat', '2', '--batch-size', '2', '--json', path, '--image-size', '64', '85')
    first, second = json.loads(path.read_text())
    assert set(first) >= KEYS and set(second) >= KEYS
    assert first['config'] == str(config) and first['ratio_to_first'] == 1 and second['ratio_to_first'] > 0
    assert (first['windows_per_image'], second['windows_per_image']) == (2, 1)
    assert (first['images'], first['batch_size'], first['device'], first['dtype']) == (2, 2, 'cpu', 'fp32')
    assert sum(first['stages_ms'].values()) == pytest.approx(first['latency_ms_median'], rel=0.5)
    assert 'ETA' in done.stdout and 'segmenter_vit_t_toy' in done.stdout and '64 x 85' in done.stdout
    assert str(path) in error_inside(monkeypatch, capsys, 'benchmark.py', config, '--json', path)
    assert str(tmp_path) in error_inside(monkeypatch, capsys, 'benchmark.py', config, '--json', tmp_path, '--overwrite')


def test_the_tool_with_other_options(tmp_path, folder, capsys, monkeypatch):
    """Throughput in bfloat16, and real images with a checkpoint, in one process."""
    cfg = ade_config(tmp_path, folder)
    cfg.dump(tmp_path / 'real.py')
    torch.save(dict(state_dict=build_segmentor(cfg).state_dict(), meta={}), tmp_path / 'weights.pth')
    for name, arguments in (
            ('crops', ('--throughput', '--dtype', 'bf16', '--batch-size', '2')),
            ('real', ('--data-root', folder, '--checkpoint', tmp_path / 'weights.pth'))):
        path = tmp_path / f'{name}.json'
        monkeypatch.setattr(sys, 'argv', ['benchmark.py', *map(str, (
            tmp_path / 'real.py', '--images', 3, '--warmup', 0, '--json', path, *arguments))])
        runpy.run_path(str(ROOT / 'tools' / 'benchmark.py'), run_name='__main__')
        (row, ) = json.loads(path.read_text())
        assert row['source'] == name and row['images'] == 3
        if name == 'crops':
            assert (row['dtype'], row['batch_size'], row['image_size']) == ('bf16', 2, [64, 64])
            assert 'random crops of 64 x 64' in capsys.readouterr().out
        else:
            assert row['checkpoint'] == str(tmp_path / 'weights.pth') and row['image_size'] == [64, 107]
            assert '1 images of' in capsys.readouterr().out


@pytest.mark.parametrize('kind,names', [
    ('matrix products', ['aten::addmm', 'aten::bmm', 'aten::mkldnn_convolution', 'nvjet_tst_128x64', 'sm90_xmma_gemm']),
    ('attention', ['aten::_scaled_dot_product_flash_attention_for_cpu', 'flash_fwd_kernel', 'fmha_cutlassF_f32']),
    ('norms', ['aten::native_layer_norm', 'vectorized_layer_norm_kernel']),
    ('argmax', ['aten::argmax', '_label_kernel']),
    ('copies', ['aten::copy_', 'aten::cat', 'Memcpy DtoD (Device -> Device)']), ('softmax', ['aten::_softmax']),
    ('elementwise', ['aten::gelu', 'aten::add', 'triton_poi_fused_gelu_3', 'aten::div']),
    ('interpolation', ['aten::upsample_bilinear2d']), ('other', ['aten::view', 'aten::empty'])])
def test_kinds_of_operations(kind, names):
    assert {kind_of(name) for name in names} == {kind}


def test_ways_of_running(config, tmp_path, monkeypatch, capsys):
    """Stock, fast, and fast in bfloat16 and compiled, in one run: a row each, named apart."""
    monkeypatch.setattr('mmseg_vittm.measure.benchmark.subject.optimize', lambda model, dtype, compile: optimize(
        model, dtype, compile and dict(backend='eager')))
    path = tmp_path / 'results.json'
    monkeypatch.setattr(sys, 'argv', ['benchmark.py', *map(str, (
        config, '--images', 2, '--warmup', 0, '--image-size', 64, 85, '--json', path, '--profile', '--segmentor',
        'EncoderDecoder', 'SlideSegmentor', 'SlideSegmentor:bf16:compile'))])
    runpy.run_path(str(ROOT / 'tools' / 'benchmark.py'), run_name='__main__')
    rows = json.loads(path.read_text())
    assert [(row['segmentor'], row['dtype'], row['compile']) for row in rows] == [
        ('EncoderDecoder', 'fp32', False), ('SlideSegmentor', 'fp32', False), ('SlideSegmentor', 'bf16', True)]
    assert [row['stages_ms']['backbone'] is None for row in rows] == [False, False, True]
    assert 0 < rows[2]['stages_ms']['network'] < rows[2]['latency_ms_median']
    assert len({row['gflops'] for row in rows}) == len({row['windows_per_image'] for row in rows}) == 1
    stock, fast = (row['profile_ms'] for row in rows[:2])
    assert stock['matrix products'] > 0 and stock['interpolation'] > 0 and 'interpolation' not in fast
    out = capsys.readouterr().out
    assert 'in all' in out and 'elementwise' in out
    assert 'fp32 eager and bf16 compiled' in out and 'compiled: both under bb.' in out
    for text in ('SlideSegmentor:int8', 'SlideSegmentor:bf16:fp32', ':bf16'):
        assert f'--segmentor {text}' in error_inside(monkeypatch, capsys, 'benchmark.py', config, '--segmentor', text)
    assert 'leave out compile' in error_inside(monkeypatch, capsys, 'benchmark.py', config, '--products', '--segmentor',
                                               'SlideSegmentor:compile')


def test_errors_of_the_tool(config, tmp_path, monkeypatch, capsys):
    for arguments, words in ((('--checkpoint', 'a', 'b'), '2 files for 1 configs'),
                             (('--checkpoint', tmp_path / 'no.pth'), 'no.pth'), (('--dtype', 'tf32'), 'tf32'),
                             (('--device', 'nowhere'), 'nowhere')):
        if torch.cuda.is_available() and 'tf32' in arguments:
            continue
        assert words in error_inside(monkeypatch, capsys, 'benchmark.py', config, *arguments, '--images', '1')
    for arguments in (('--image-size', 9, 9, '--throughput'), ('--data-root', tmp_path, '--throughput'),
                      ('--images', 0), ('--warmup', -1)):
        assert 'usage' in error_inside(monkeypatch, capsys, 'benchmark.py', config, *arguments)
    (tmp_path / 'notes.txt').write_text('not a config')
    for name in ('notes.txt', 'none.py'):
        assert name in error_inside(monkeypatch, capsys, 'benchmark.py', tmp_path / name)
    assert 'no model' in error_inside(monkeypatch, capsys, 'benchmark.py',
                                      ROOT / 'configs' / '_base_' / 'default_runtime.py')


STUB = """#!/usr/bin/env python
import sys
with open({log!r}, 'a') as file:
    file.write(' '.join(sys.argv[1:]) + '\\n')
if sys.argv[1] == '-c':
    print('nvidia-test')
"""


@pytest.mark.parametrize('script,devices', [('run_gpu.sh', 'cuda'), ('run_cpu.sh', 'cpu')])
def test_the_scripts_measure_all_configs(script, devices, tmp_path):
    """What they would run, told by a stand-in for Python."""
    log, stub = tmp_path / 'log', tmp_path / 'python'
    stub.write_text(STUB.format(log=str(log)).replace('/usr/bin/env python', sys.executable))
    stub.chmod(0o755)
    subprocess.run(['bash', str(ROOT / 'benchmarks' / script), '--overwrite'], check=True, cwd=tmp_path,
                   env=os.environ | {'PYTHON': str(stub)})
    runs = [line for line in log.read_text().splitlines() if line.startswith('tools/benchmark.py')]
    plots = [line for line in log.read_text().splitlines() if line.startswith('tools/plot.py')]
    names = (ROOT / 'benchmarks' / 'configs.txt').read_text().split()
    assert len(names) >= 7 and all((ROOT / name).is_file() for name in names)
    assert names[0] == 'configs/segmenter_vit_b_ade20k.py'
    assert all(f'--device {devices}' in run and run.endswith('--overwrite') for run in runs)
    stages = {run.split('--json benchmarks/nvidia-test/')[1].split('/')[0]: run for run in runs}
    drawn = [run for name, run in stages.items() if name != 'toy_whole']  # two points, whose mIoU another tool measures
    for run, plot in zip(drawn, plots, strict=True):
        assert plot.split()[1] == run.split('--json ')[1].split()[0] and '--overwrite' in plot
    assert ' '.join(names) in stages['predict_fp32']
    assert '--segmentor EncoderDecoder SlideSegmentor --images' in stages['predict_fp32']
    if devices == 'cuda':
        assert set(stages) == {'fast_predict', 'fast_throughput_32', 'predict_fp32'}
        ways = '--segmentor EncoderDecoder SlideSegmentor:bf16 SlideSegmentor:tf32:compile SlideSegmentor:bf16:compile'
        assert ways in stages['fast_predict'] and ways in stages['fast_throughput_32']
        assert '--throughput --batch-size 32' in stages['fast_throughput_32']
    else:
        assert set(stages) == {'predict_fp32', 'products_fp32', 'toy_whole'}
        assert '--products' in stages['products_fp32'] and '--data-root data/toy_scenes' in stages['toy_whole']


def test_the_gpu_script_says_that_there_is_none(tmp_path):
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    done = subprocess.run(['bash', str(ROOT / 'benchmarks' / 'run_gpu.sh')], capture_output=True, text=True,
                          env=os.environ | {'PYTHON': sys.executable})
    assert done.returncode == 2 and 'Traceback' not in done.stderr and 'PyTorch sees 0 GPUs' in done.stderr
    assert not (ROOT / 'benchmarks' / 'predict_fp32').exists()
