"""Speed of a laboratory's models: which are measured, in what, and when a measurement still counts."""
import json

import pytest
import torch
from laboratories import PLAN, write_laboratory

from mmseg_vittm.commands.laboratory import speed
from mmseg_vittm.commands.laboratory.laboratory import Laboratory
from mmseg_vittm.commands.laboratory.plan import Run
from mmseg_vittm.commands.laboratory.plan_file import read_plan
from mmseg_vittm.commands.laboratory.scoring import in_windows, loaders, ways
from mmseg_vittm.datasets import ToyScenes
from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.benchmark.building import Settings
from mmseg_vittm.measure.segmentors import build_segmentor

SMALL_CROP = {'model.data_preprocessor.size': [48, 48]}
ROWS = [dict(name='vit_16', config='vit_16.py', scores=['windows'], cfg_options=SMALL_CROP),
        dict(name='vittm', config='vittm.py'), dict(name='warm', config='vittm.py', warm_start='vittm')]


def laboratory(folder, **changes) -> Laboratory:
    return Laboratory(read_plan(write_laboratory(folder, PLAN, **dict(rows=ROWS) | changes)), folder / 'work')


def test_each_model_is_measured_once(tmp_path):
    found = speed.models(laboratory(tmp_path), 'toy')
    assert [name for name, _ in found.values()] == ['vit_16', 'vit_16, windows', 'vittm']


def test_a_model_that_gets_larger_images_is_measured_on_them(tmp_path):
    larger = {'test_dataloader.dataset.pipeline.1.scale': 256}
    lab = laboratory(tmp_path, rows=[ROWS[1], ROWS[1] | dict(name='larger', cfg_options=larger)])
    found = speed.models(lab, 'toy')
    assert [name for name, _ in found.values()] == ['vittm', 'larger']
    assert [cost['input'] for cost in speed.costs(lab, 'toy').values()] == [[128, 128], [256, 256]]


def test_a_model_whose_cost_depends_on_the_image_is_measured_trained_on_real_images(tmp_path, log_lines):
    backbone = dict(type='ALGM', num_layers=2, local_threshold=0.0, global_threshold=1.0)
    row = dict(name='algm', config='vit_16.py', seeds=[1], cfg_options={
        f'model.backbone.{name}': value for name, value in backbone.items()})
    lab = laboratory(tmp_path, rows=[ROWS[0], row])
    (_, _, untrained) = speed.costs(lab, 'toy').values()
    assert any('algm: what it costs depends on its weights' in line for line in log_lines.of('WARNING'))
    run = Run('toy', 'algm', 1)
    model = build_segmentor(lab.config('toy', 'algm'))
    with torch.no_grad():
        for block in model.backbone.vit.blocks:  # all tokens are the same, so that all windows merge
            block.attn.proj.weight.zero_()
        model.backbone.vit.patch_embed.proj.weight.zero_()
        model.backbone.vit.pos_embed.zero_()
    lab.checkpoint(run).parent.mkdir(parents=True)
    meta = dict(dataset_meta=dict(ToyScenes.METAINFO))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), lab.checkpoint(run))
    (_, _, trained) = speed.costs(lab, 'toy').values()
    assert trained['gflops'] < untrained['gflops'] and trained['params_m'] == untrained['params_m']
    name, cfg = list(speed.models(lab, 'toy').values())[-1]
    subject = speed._subject(lab, 'toy', name, cfg, Settings(torch.device('cpu'), image_size=(64, 64)))
    key = list(speed.models(lab, 'toy'))[-1]
    for changes, count in ((dict(source='synthetic', checkpoint=None), 0), (dict(source='real', checkpoint='x'), 1)):
        content = dict(of=speed._conditions(lab, 'toy'), records=[dict(model=key, varies_with_image=True) | changes])
        speed.speed_file(lab, 'toy').write_text(json.dumps(content))
        assert len(speed.kept_records(lab, 'toy')) == count  # it is trained by now
    assert subject.source.kind == 'real' and subject.built.checkpoint == str(lab.checkpoint(run))


def test_windows_are_the_crop_by_two_thirds_of_it_where_the_image_is_larger(tmp_path):
    lab = laboratory(tmp_path)
    own = ways(lab, 'toy', 'vit_16')['windows']
    assert own.model.test_cfg == dict(mode='slide', crop_size=(48, 48), stride=(32, 32))
    cfg = lab.config('toy', 'vit_16')
    assert in_windows(cfg, (48, 48)) is None and in_windows(cfg, (48, 49)) is not None
    assert cfg.model.test_cfg.mode == 'whole'  # stays as it is


def test_the_shift_is_where_tests_read_other_images(tmp_path):
    cfg = laboratory(tmp_path).config('toy', 'vittm')
    assert list(loaders(cfg)) == ['validation', 'shift']
    cfg.test_dataloader.dataset.data_prefix = cfg.val_dataloader.dataset.data_prefix
    assert list(loaders(cfg)) == ['validation']


@pytest.mark.parametrize(('flags', 'dtypes'), [(['avx2'], ['fp32']), (['avx2', 'avx512_bf16'], ['bf16', 'fp32'])])
def test_bfloat16_is_for_cpus_that_have_it(tmp_path, monkeypatch, flags, dtypes):
    lab = laboratory(tmp_path, speed=dict(dtypes=['bf16', 'fp32'], threads=[1, 1024]))
    monkeypatch.setattr(speed, 'cpu_flags', lambda: flags)
    monkeypatch.setattr(speed, 'resolve_device', lambda name: torch.device('cpu'))
    assert [way.dtype for way in speed.settings_of_runs(lab, 'toy')] == dtypes
    assert speed.thread_counts(lab) == [1]  # nobody has 1,024 cores here
    only = laboratory(tmp_path, speed=dict(dtypes=['bf16']))
    if dtypes == ['fp32']:
        with pytest.raises(InputError, match='speed dtypes has bf16 alone, for which this CPU has no instructions'):
            speed.settings_of_runs(only, 'toy')


def test_a_measurement_counts_for_the_models_that_it_is_of(tmp_path):
    lab = laboratory(tmp_path)
    path = speed.speed_file(lab, 'toy')
    path.parent.mkdir(parents=True)
    kept = [dict(model=key, varies_with_image=False, source='synthetic', checkpoint=None)
            for key in speed.models(lab, 'toy')]
    path.write_text(json.dumps(dict(of=speed._conditions(lab, 'toy'), records=kept)))
    assert speed.kept_records(lab, 'toy') == kept
    other = laboratory(tmp_path, rows=[*ROWS, dict(name='vit_32', config='vit_32.py')])
    assert speed.kept_records(other, 'toy') == []
    path.write_text('no JSON')
    assert speed.kept_records(lab, 'toy') == []


def test_records_of_another_machine_are_told_apart(monkeypatch):
    here = dict(device_name=speed.device_name(speed.resolve_device(None)), torch=torch.__version__)
    assert speed.is_measured_here([here]) and not speed.is_measured_here([])
    assert not speed.is_measured_here([here, here | dict(device_name='another')])


def test_threads_are_set_back():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), speed.threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
