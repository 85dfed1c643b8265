"""Records and tables."""
import io
import json
from pathlib import Path

import numpy as np
import pytest
from measuring import KEYS, make_subject

from mmseg_vittm.measure.benchmark.report import record, tables
from mmseg_vittm.measure.benchmark.stages import Call
from mmseg_vittm.measure.records import is_unlike_use


def test_record_by_hand(config):
    first, second = (make_subject(config, batch_size=2) for _ in range(2))
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
    assert row['cfg_options'] == {'model.type': 'SlideSegmentor'}
    assert [column.header for column in tables([row])[0].columns][:2] == ['config', 'FPS']
    assert not row['varies_with_image'] and not is_unlike_use(row)


@pytest.mark.parametrize('changes,unlike', [
    (dict(), True), (dict(source='real'), True), (dict(checkpoint='algm.pth'), True),
    (dict(source='real', checkpoint='algm.pth'), False), (dict(varies_with_image=False), False)])
def test_speed_that_depends_on_images_is_marked_where_they_were_noise(config, changes, unlike):
    measured = make_subject(config)
    measured.run(0)
    row = record(measured, measured, images=1, repeat=1, warmup=0) | dict(varies_with_image=True) | changes
    assert is_unlike_use(row) == unlike
    for table in tables([row]):
        assert list(table.columns[0].cells) == [Path(row['config']).stem + '*' * unlike]
    assert ('which were not real' in tables([row])[0].caption) == unlike


def test_throughput_is_forward_only(config):
    measured = make_subject(config, batch_size=4, throughput=True)
    call = measured.run(0)
    assert call.shapes == [(4, 3, 64, 64)] and measured.windows_per_image == 1
    row = record(measured, measured, images=1, repeat=1, warmup=0)
    assert row['protocol'] == 'throughput' and row['fps'] == pytest.approx(4 / call.seconds)
    assert 'crops/s' in [column.header for column in tables([row])[0].columns]


def test_tables_fit_80_columns():
    from rich.console import Console
    row = dict(config='configs/segmenter_vittm_b_49_196_ade20k.py', protocol='predict', fps=0.4353, fps_mean=0.4321,
               latency_ms_median=2299.1, latency_ms_p95=12986.2, ratio_to_first=1.973, ratio_to_first_iqr=[1.73, 12.09],
               params_m=125.4, gflops=1084.4, windows_per_image=1.9, varies_with_image=True, source='synthetic',
               checkpoint=None, peak_memory_mb=11225.0,
               stages_ms=dict(backbone=1138.0, head=190.0, post=None), segmentor='SlideSegmentor',
               dtype='fp32', compile=False)
    console = Console(width=80, record=True, file=io.StringIO())
    compiled = dict(dtype='bf16', compile=True, stages_ms=dict(backbone=None, head=None, network=1149.0, post=3.0))
    for table in tables([row, row | dict(segmentor='EncoderDecoder'), row | compiled]):
        console.print(table)
    text = console.export_text()
    assert '…' not in text and all(word in text for word in ('0.435', '1.73-12.09', '12986', '11225', '1084', '2299',
                                                '1149', 'compiled'))
