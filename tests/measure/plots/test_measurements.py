"""What is read of the benchmark's files."""
import json
import math
import os

import pytest
from plotted import SEGNEXT, VIT, VITTM, record, write
from tiny_models import ROOT

from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.plots.measurements import NEEDED, describe_conditions, note_on_marks, read_measurements


def test_reads_files_in_order(tmp_path):
    files = [write(tmp_path / 'a.json', record(fps=3, fps_iqr=None)),
             write(tmp_path / 'b.json', record(VIT, stages_ms=dict(backbone=None, head=0.0, post=7)))]
    first, second = read_measurements(files)
    assert (first.stem, first.fps, first.fps_iqr) == (VITTM, 3, None)
    assert (second.stem, second.fps_iqr, second.images) == (VIT, (0.48, 0.51), 20)
    assert first.stages == dict(backbone=1500.0, head=300.0, post=200.0) and second.stages == dict(post=7)
    for absent in ({}, dict(stages_ms=None), dict(stages_ms=dict(backbone=0.0))):
        others = {key: value for key, value in record().items() if key != 'stages_ms'} | absent
        assert read_measurements([write(tmp_path / 'c.json', others)])[0].stages == {}


@pytest.mark.parametrize('content, problem', [
    (None, 'cannot be read'), ('[{', 'not JSON'), ('{"config": "x.py"}', 'a list of records, got dict'),
    ('[3]', 'record 1 must be an object'), ('[]', 'no records')])
def test_wrong_files(content, problem, tmp_path):
    path = tmp_path / 'results.json'
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=problem) as caught:
        read_measurements([str(path)])
    assert str(path) in str(caught.value) and 'tools/benchmark.py' in str(caught.value)


@pytest.mark.parametrize('content, problem', [
    ('[' * 100_000, 'nested too deeply'), ('[' * 900 + ']' * 900, 'record 1 must be an object'),
    ('[{"fps": 1' + '0' * 5000 + '}]', 'not JSON'), ('\ufeff[]', 'not JSON'), (b'\xff[]', 'not JSON'),
    (json.dumps([record(fps=10**400)]), "'fps' must"), (json.dumps([record(images=10**400)]), "'images' must"),
    (json.dumps([record(fps=1e308)]), "'fps' must"), (json.dumps([record(fps_iqr=[-math.inf, 1])]), "'fps_iqr' must"),
    (json.dumps([record(fps_iqr=[1, 1e300])]), "'fps_iqr' must"), (json.dumps([record(segmentor=[1])]), "'segmentor'"),
    (json.dumps([record(source={})]), "'source' must"), (json.dumps([['x' * 10**6]]), 'record 1 must')])
def test_what_a_file_can_hold(content, problem, tmp_path):
    path = tmp_path / 'results.json'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=problem) as caught:
        read_measurements([str(path)])
    assert str(path) in str(caught.value) and len(str(caught.value)) < 1000


def test_only_files_are_read(tmp_path):
    os.mkfifo(tmp_path / 'pipe.json')
    with open(tmp_path / 'sparse.json', 'wb') as file:
        file.truncate(1 << 40)
    for path in (tmp_path / 'pipe.json', '/dev/zero', tmp_path):
        with pytest.raises(InputError, match='is a folder, pipe or device'):
            read_measurements([str(path)])
    with pytest.raises(InputError, match='too large for results .1048576 MiB'):
        read_measurements([str(tmp_path / 'sparse.json')])


@pytest.mark.parametrize('key', [*NEEDED, 'threads'])
def test_a_needed_key(key, tmp_path):
    without = record(VIT)
    del without[key]
    file = write(tmp_path / 'results.json', record(), without)
    with pytest.raises(InputError, match=f'results.json: record 2 has no {key!r}'):
        read_measurements([file])


@pytest.mark.parametrize('changes', [
    dict(fps='fast'), dict(fps=0), dict(fps=math.nan), dict(fps=True), dict(config=''), dict(config=3), dict(images=0),
    dict(batch_size=1.5), dict(protocol='train'), dict(protocol=['predict']), dict(threads=None), dict(fps_iqr=[1]),
    dict(fps_iqr=3), dict(fps_iqr=[1, 'x']), dict(stages_ms=[1]), dict(stages_ms=dict(neck=1)),
    dict(stages_ms=dict(head=-1)), dict(cpu_flags='avx2'), dict(cpu_flags=[2]), dict(stages_ms=dict(head='x'))])
def test_wrong_values(changes, tmp_path):
    (key, value), = changes.items()
    with pytest.raises(InputError, match=f'results.json: record 1: {key!r} must') as caught:
        read_measurements([write(tmp_path / 'results.json', record(**changes))])
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize('changes', [
    dict(device='mps:0'), dict(device_name='B'), dict(threads=4),
    dict(torch='2.9.1'), dict(batch_size=8), dict(protocol='throughput')])
def test_measurements_that_cannot_be_compared(changes, tmp_path):
    files = [write(tmp_path / 'a.json', record()), write(tmp_path / 'b.json', record(VIT, **changes))]
    (key, value), = changes.items()
    with pytest.raises(InputError, match=f'b.json: .*{VIT}.* with {key} ') as caught:
        read_measurements(files)
    assert repr(record()[key]) in str(caught.value) and repr(value).split(':')[0] in str(caught.value)


def test_the_same_kind_of_device(tmp_path):
    gpus = [record(stem, device=f'cuda:{number}', threads=threads, images=20 + number)
            for number, (stem, threads) in enumerate([(VITTM, None), (VIT, 8)])]
    sentence = describe_conditions(read_measurements([write(tmp_path / 'a.json', *gpus)]))
    assert 'thread' not in sentence and '20 to 21 synthetic images' in sentence


def test_a_config_twice(tmp_path):
    files = [write(tmp_path / 'a.json', record()), write(tmp_path / 'b.json', record(config=f'/elsewhere/{VITTM}.py'))]
    with pytest.raises(InputError, match=f'b.json: {VITTM} is there already, in .*a.json'):
        read_measurements(files)


def test_ways_of_running_are_named(tmp_path):
    records = [record(segmentor='Stock'), record(segmentor='Slide'),
               record(segmentor='Slide', dtype='bf16', compile=True), record(VIT, segmentor='Slide', dtype='bf16')]
    measurements = read_measurements([write(tmp_path / 'a.json', *records)])
    assert [one.variant for one in measurements] == [
        ', Stock, fp32', ', Slide, fp32', ', Slide, bf16, compiled', ', bf16']
    assert 'bf16 and fp32, torch' in describe_conditions(measurements)
    compiled = read_measurements([write(tmp_path / 'b.json', record(compile=True))])
    assert not compiled[0].variant and ', compiled, batch' in describe_conditions(compiled)


def test_differing_segmentors_are_told(tmp_path):
    records = [record(segmentor='Slide'), record(VIT, segmentor='Slide'), record(SEGNEXT, segmentor='Stock')]
    sentence = describe_conditions(read_measurements([write(tmp_path / 'a.json', *records)]),
                                   {SEGNEXT: dict(Backbone='SegNeXt-S')})
    assert sentence.endswith('20 synthetic images. SegNeXt-S in Stock; the others in Slide.')
    sentence = describe_conditions(read_measurements([write(tmp_path / 'a.json', *records[:2])]))
    assert sentence.endswith('20 synthetic images.')


def test_speed_that_depends_on_images_is_marked_where_they_were_noise(tmp_path):
    algm = record(varies_with_image=True, checkpoint=None)
    measurements = read_measurements([write(tmp_path / 'a.json', algm, record(VIT))])
    assert [one.variant for one in measurements] == ['*', '']
    assert note_on_marks(['ALGM*', 'ViT']) == ' * depends on weights and images, which were not real.'
    assert note_on_marks(['ViT']) == ''


def test_conditions_are_told(tmp_path):
    assert describe_conditions(read_measurements([write(tmp_path / 'a.json', record(), record(VIT))])) == (
        'Measured on A <CPU> & more (2 threads), fp32, torch 2.15.0, batch size 1, protocol predict, '
        '20 synthetic images.')
    other = record(threads=1, compile=True, dtype='bf16', batch_size=8, protocol='throughput', images=50)
    assert describe_conditions(read_measurements([write(tmp_path / 'a.json', other)])) == (
        'Measured on A <CPU> & more (1 thread), bf16, torch 2.15.0, compiled, batch size 8, protocol throughput, '
        '50 batches.')


def test_flags_of_the_cpu_are_told(tmp_path):
    flags = ['avx2', 'avx512_bf16']

    def told(*records) -> str:
        return describe_conditions(read_measurements([write(tmp_path / 'a.json', *records)]))

    assert 'A <CPU> & more (2 threads; avx2, avx512_bf16), fp32' in told(record(cpu_flags=flags))
    assert '(2 threads; avx2, avx512_bf16)' in told(record(cpu_flags=flags), record(VIT))  # an older record
    assert '(2 threads), fp32' in told(record(cpu_flags=flags), record(VIT, cpu_flags=['avx2']))
    assert 'A <CPU> & more, fp32' in told(record(device='cuda:0', cpu_flags=flags))


@pytest.mark.parametrize('file', sorted((ROOT / 'benchmarks').glob('*/*/results.json')), ids=str)
def test_committed_records_are_read(file):
    """Also those of earlier versions, with keys of their own."""
    measurements = read_measurements([str(file)])
    assert len(measurements) == len(json.loads(file.read_text()))
    assert describe_conditions(measurements).startswith('Measured on ')
