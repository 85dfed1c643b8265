"""Plots of benchmark results: what is read, what is drawn, and that it can be read."""
import json
import math
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import matplotlib.style
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from mmengine.logging import MMLogger
from tiny_models import ROOT
from tool_runs import error_of, run_tool

from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.plots.data import (
    LONGEST_NAME,
    NEEDED,
    Point,
    describe_conditions,
    display_name,
    make_points,
    pareto_front,
    parse_mious,
    read_measurements,
    read_metafiles,
)
from mmseg_vittm.measure.plots.figures import FAMILY_LOOKS, GREY, SMALL, STYLE, draw_plots, pareto_figure, stages_figure
from mmseg_vittm.measure.plots.labels import boxes_overlap, line_crosses_box, place_labels

METAFILES = [ROOT / 'configs' / 'metafile.yaml', ROOT / 'configs' / 'peers' / 'metafile.yaml']
OUTPUTS = ['pareto.png', 'pareto.svg', 'stages.png', 'stages.svg']
VITTM, VIT, SEGNEXT = 'segmenter_vittm_b_ade20k', 'segmenter_vit_b_ade20k', 'segnext_s_ade20k'
SMALL_VITTM = 'segmenter_vittm_s_ade20k'  # nobody published an mIoU of it


def record(stem: str = VITTM, **changes) -> dict:
    """What the benchmark writes of a config."""
    return dict(
        config=f'configs/{stem}.py', device='cpu', device_name='A <CPU> & more', threads=2, dtype='fp32', compile=False,
        torch='2.15.0', protocol='predict', source='synthetic', batch_size=1, images=20, image_size=[504, 672],
        windows_per_image=2.0,
        fps=0.5, fps_iqr=[0.48, 0.51], latency_ms_median=2000.0, peak_memory_mb=None,
        stages_ms=dict(backbone=1500.0, head=300.0, post=200.0)) | changes


def write(path: Path, *records: dict) -> str:
    """Writes records as the benchmark does."""
    path.write_text(json.dumps(records))
    return str(path)


def example(folder: Path) -> str:
    """A file of three configs, the last without an mIoU."""
    return write(folder / 'results.json', record(), record(VIT, fps=0.3, fps_iqr=None), record(SMALL_VITTM, fps=1.5))


def draw(folder: Path, *files: str, **options) -> list[Path]:
    return draw_plots(files, str(folder), METAFILES, **options)


def texts_of(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.fixture
def style():
    """The style that `draw_plots` draws under."""
    with matplotlib.style.context(['default', STYLE]):
        yield


@pytest.fixture
def log(monkeypatch) -> list[str]:
    """What is logged."""
    said = []
    for level in ('info', 'warning'):
        monkeypatch.setattr(MMLogger.get_current_instance(), level, said.append)
    return said


# Reading


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
    dict(stages_ms=dict(head=-1)), dict(stages_ms=dict(head='x'))])
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


def test_a_config_in_several_segmentors(tmp_path):
    records = [record(segmentor='Slide'), record(segmentor='Stock', fps=0.4), record(VIT, segmentor='Stock')]
    measurements = read_measurements([write(tmp_path / 'a.json', *records)])
    points = make_points(measurements, read_metafiles(METAFILES), {})
    assert [point.name for point in points] == ['ViTTM-B(64, 64), Slide', 'ViTTM-B(64, 64), Stock', 'ViT-B/16']
    assert describe_conditions(measurements).endswith('20 synthetic images.')
    with pytest.raises(InputError, match='is there already'):
        read_measurements([write(tmp_path / 'a.json', records[0], *records)])


def test_conditions_are_told(tmp_path):
    assert describe_conditions(read_measurements([write(tmp_path / 'a.json', record(), record(VIT))])) == (
        'Measured on A <CPU> & more (2 threads), fp32, torch 2.15.0, batch size 1, protocol predict, '
        '20 synthetic images.')
    other = record(threads=1, compile=True, dtype='bf16', batch_size=8, protocol='throughput', images=50)
    assert describe_conditions(read_measurements([write(tmp_path / 'a.json', other)])) == (
        'Measured on A <CPU> & more (1 thread), bf16, torch 2.15.0, compiled, batch size 8, protocol throughput, '
        '50 batches.')


def test_metafiles(tmp_path):
    metadata = read_metafiles(METAFILES)
    assert display_name(VIT, metadata) == 'ViT-B/16' and display_name(SEGNEXT, metadata) == 'SegNeXt-S'
    assert display_name('my_config', metadata) == 'my_config'
    shortened = display_name('a' * 50 + 'b' * 50, metadata)
    assert len(shortened) == LONGEST_NAME + 1 and shortened[0] + shortened[-1] == 'ab' and '…' in shortened
    with pytest.raises(InputError, match='none.yaml: no such metafile'):
        read_metafiles([tmp_path / 'none.yaml'])


def test_mious():
    assert parse_mious([f'{VIT}=45.5', f'{VITTM}=0'], [VITTM, VIT]) == {VIT: 45.5, VITTM: 0.0}


@pytest.mark.parametrize('options, problem', [
    (['45'], 'must be CONFIG_STEM=VALUE'), (['=45'], 'must be CONFIG_STEM=VALUE'), ([f'{VIT}='], 'must be CONFIG_STEM'),
    (['vit=45'], f"no config 'vit' .*{VIT}"), ([f'{VIT}=high'], "'high' is no number"),
    ([f'{VIT}=-0.1'], 'not from 0 to 100'), ([f'{VIT}=100.1'], 'not from 0 to 100'), ([f'{VIT}=nan'], 'not from 0'),
    ([f'{VIT}=45', f'{VIT}=46'], 'has 45.0 already')])
def test_wrong_mious(options, problem):
    with pytest.raises(InputError, match=f'--miou {options[-1]}: .*{problem}'):
        parse_mious(options, [VIT])


def test_points(tmp_path, log):
    measurements = read_measurements([example(tmp_path)])
    points = make_points(measurements, read_metafiles(METAFILES), {VITTM: 44.0})
    assert points == [Point('ViTTM-B(64, 64)', 'ViTTM', 0.5, 44.0, None, (0.48, 0.51)),
                      Point('ViT-B/16', 'ViT', 0.3, 45.65, 'ViTTM paper, Table 6')]
    warning, = log
    assert SMALL_VITTM in warning and f'--miou {SMALL_VITTM}=VALUE' in warning and VIT not in warning
    with pytest.raises(InputError, match=f'{SMALL_VITTM}; give --miou {SMALL_VITTM}=VALUE'):
        make_points(measurements[2:], read_metafiles(METAFILES), {})
    own, = make_points(read_measurements([write(tmp_path / 'own.json', record('my-own'))]), {}, {'my-own': 40.0})
    assert (own.name, own.family) == ('my-own', 'other')


# Geometry


@pytest.mark.parametrize('places, front', [
    ([(1, 50)], [0]),
    ([(3, 40), (1, 50), (2, 45)], [1, 2, 0]),
    ([(1, 50), (2, 45), (1.5, 44), (2.5, 41)], [0, 1, 3]),  # one is worse in both
    ([(1, 50), (1, 49), (2, 49), (2, 50)], [3]),  # equal in one
    ([(1, 50), (2, 40), (2, 40)], [0, 1, 2])])  # equal in both
def test_pareto_front(places, front):
    assert pareto_front(places) == front


@pytest.mark.parametrize('line, crosses', [
    (((-1, 1), (3, 1)), True), (((1, -1), (1, 3)), True), (((-1, -1), (3, 3)), True), (((0.5, 0.5), (1, 1)), True),
    (((-1, 3), (3, 3)), False), (((3, -1), (3, 3)), False), (((-1, 1), (-0.5, 1)), False), (((1, 4), (4, 1)), False)])
def test_lines_and_boxes(line, crosses):
    assert line_crosses_box(*line, (0, 0, 2, 2)) == line_crosses_box(*line[::-1], (0, 0, 2, 2)) == crosses


def test_boxes():
    assert boxes_overlap((0, 0, 2, 2), (1, 1, 3, 3)) and boxes_overlap((0, 0, 2, 2), (3, 0, 4, 2), pad=1.5)
    assert not boxes_overlap((0, 0, 2, 2), (3, 0, 4, 2)) and not boxes_overlap((0, 0, 2, 2), (0, 3, 2, 4), pad=0.5)


def test_labels_of_lone_points_stand_beside_them():
    left, right = place_labels([(50, 100), (300, 100)], [(60, 10)] * 2, (0, 0, 320, 200))
    assert 55 < left[0] < 60 and left[1] == 95  # to the right of its point, on its height
    assert right[2] <= 320  # which would pass the edge there
    boxes = place_labels([(50, 100)], [(60, 10)], (0, 0, 320, 200), bars=[((20, 100), (200, 100))])
    assert not line_crosses_box((20, 100), (200, 100), boxes[0])


# Figures

# Two clouds, with speeds or mIoUs nearly or quite the same, one long name and one wide bar.
CROWD = [
    Point('ViT-B/16', 'ViT', 61.0, 45.65, 'ViTTM paper, Table 6', (58, 63)),
    Point('ViT-B/16, fine-tuned at 384', 'ViT', 61.2, 48.06, 'ViTTM paper, Table 6', (60, 62)),
    Point('ViTTM-B(64, 64)', 'ViTTM', 104, 45.17, 'ViTTM paper, Table 6', (90, 110)),
    Point('ViTTM-B(49, 196)', 'ViTTM', 101, 45.2, None, (99, 103)),
    Point('SegFormer-B2', 'SegFormer', 62.0, 45.6, 'SegFormer paper', (61, 63)),
    Point('SegFormer-B2, 256 wide', 'SegFormer', 103, 45.58, "MMSegmentation's model zoo"),
    Point('SegFormer-B3', 'SegFormer', 60, 45.7, 'SegFormer paper'),
    Point('SegNeXt-B', 'SegNeXt', 102, 45.3, 'SegNeXt paper'),
    Point('SegNeXt-S', 'SegNeXt', 105, 45.4, 'SegNeXt paper'),
    Point('ViT-B/32', 'ViT', 104, 45.35), Point('a_config_with_quite_a_long_stem_ade20k', 'other', 63, 45.4)]


def extents(figure, artists) -> list[tuple[float, float, float, float]]:
    return [artist.get_window_extent(figure.canvas.get_renderer()).extents for artist in artists]


def overlapping(artists, boxes) -> list[tuple[str, str]]:
    return [(one.get_text(), other.get_text()) for (one, a), (other, b)
            in combinations(zip(artists, boxes, strict=True), 2) if boxes_overlap(a, b)]


def labels_of(figure, names) -> list[Text]:
    return [text for text in figure.axes[0].texts if text.get_text() in names]


@pytest.mark.parametrize('dpi', [72, 200, 300])
def test_labels_of_crowded_points_keep_clear(style, dpi):
    figure = pareto_figure(CROWD, 'predict', 'Measured.')
    figure.dpi = dpi
    figure.canvas.draw()
    axes, labels = figure.axes[0], labels_of(figure, [point.name for point in CROWD])
    assert [label.get_text() for label in labels] == [point.name for point in CROWD]
    boxes, radius = extents(figure, labels), 3.5 * dpi / 72
    assert overlapping(labels, boxes) == []
    frame = axes.get_window_extent().extents
    for point, box in zip(CROWD, boxes, strict=True):
        assert frame[0] <= box[0] and frame[1] <= box[1] and box[2] <= frame[2] and box[3] <= frame[3], point
    for point in CROWD:
        x, y = axes.transData.transform((point.fps, point.miou))
        for label, box in zip(labels, boxes, strict=True):
            assert not boxes_overlap(box, (x - radius, y - radius, x + radius, y + radius)), (point, label)
            if point.fps_iqr:
                bar = [axes.transData.transform((fps, point.miou)) for fps in point.fps_iqr]
                assert not line_crosses_box(*bar, box), (point, label)

    for label in labels:  # so crowded that labels simply above their points collide
        label.set_position((0, 10))
    assert len(overlapping(labels, extents(figure, labels))) > 5


def test_published_and_measured_are_told_apart(style):
    figure = pareto_figure(CROWD, 'predict', 'Measured on a machine.', 'A title')
    drawn = {line.get_gid(): line for line in figure.axes[0].lines}
    for number, point in enumerate(CROWD):
        line = drawn[f'point-{number}']
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (point.fps, point.miou)
        assert line.get_markerfacecolor() == ('white' if point.publisher else line.get_markeredgecolor())
        if point.family in FAMILY_LOOKS:
            assert (line.get_markeredgecolor(), line.get_marker()) == FAMILY_LOOKS[point.family]
        assert (f'quartiles-{number}' in drawn) == (point.fps_iqr is not None)
    assert list(drawn['quartiles-2'].get_xdata()) == [90, 110]
    assert [(x, y) for x, y in drawn['pareto-front'].get_xydata()] == [
        (61.2, 48.06), (62, 45.6), (103, 45.58), (105, 45.4)]

    families, meanings = figure.legends
    assert [text.get_text() for text in families.texts] == ['ViTTM', 'ViT', 'SegFormer', 'SegNeXt', 'other']
    assert len({line.get_marker() for line in families.legend_handles}) == 5  # not by colour alone
    fills = {text.get_text(): line.get_markerfacecolor()
             for text, line in zip(meanings.texts, meanings.legend_handles, strict=True)}
    assert fills['mIoU: published'] == 'white' and fills['mIoU: measured'] == GREY
    assert {'Pareto front', 'quartiles of the speed'} <= set(fills)
    said = [text.replace('\n', ' ') for text in texts_of(figure)]
    assert {'A title', 'Measured on a machine.', 'FPS (images per second)'} <= set(said)
    assert ("Published mIoU: MMSegmentation's model zoo; SegFormer paper; SegNeXt paper; ViTTM paper, Table 6." in said)


@pytest.mark.parametrize('point, absent', [
    (Point('a', 'ViT', 1, 40), 'ublished'), (Point('a', 'ViT', 1, 40, 'paper'), 'mIoU: measured')])
def test_one_point_and_a_legend_of_what_is_there(point, absent, style):
    figure = pareto_figure([point], 'throughput', 'Told.')
    assert not [text for text in texts_of(figure) if absent in text]
    assert 'quartiles of the speed' not in texts_of(figure)
    assert figure.axes[0].get_xlabel() == 'crops per second'


def test_more_families_than_looks(style):
    points = [Point(f'{name}-B', name, 1 + number, 40) for number, name in enumerate('ABCDEFGHIJKLMNOPQRST')]
    figure = pareto_figure(points, 'predict', 'Measured.')
    looks = {(line.get_markeredgecolor(), line.get_marker()) for line in figure.axes[0].lines
             if line.get_gid().startswith('point')}
    assert len(looks) == len(points)
    width = figure.bbox.width
    assert all(box[0] >= 0 and box[2] <= width for box in extents(figure, figure.legends))


BARS = [('SegFormer-B3', dict(backbone=1190.0, head=929.0, post=10.2)),
        ('ViTTM-S', dict(backbone=11, head=12.3, post=9)),
        ('ViT-B/32', dict(backbone=215.0, head=78.0, post=220.0)), ('half', dict(backbone=100.0, post=40.0))]


def test_stages_are_stacked(style):
    figure = stages_figure(BARS, 'Measured.')
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ['ViTTM-S', 'half', 'ViT-B/32', 'SegFormer-B3']
    bars = [(round(bar.get_y() + bar.get_height() / 2), bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert [bar for bar in bars if bar[0] == 3] == [(3, 0, 1190), (3, 1190, 929), (3, 2119, pytest.approx(10.2))]
    assert [bar for bar in bars if bar[0] == 1] == [(1, 0, 100), (1, 100, 40)]
    said = [text.get_text() for text in axes.texts]
    assert {'1190', '929', '10.2', '2129 ms', '11.0', '12.3', '9.00', '32.3 ms', '513 ms', '140 ms'} <= set(said)
    assert len(said) == 11 + 4
    legend, = figure.legends
    assert [text.get_text() for text in legend.texts] == ['backbone', 'decode head', 'after the head']
    assert len({(to_hex(patch.get_facecolor()), patch.get_hatch()) for patch in legend.legend_handles}) == 3
    assert len({patch.get_hatch() for patch in legend.legend_handles}) == 3  # not by colour alone
    assert len({bar.get_hatch() for bar in axes.patches if round(bar.get_y()) == 2}) == 3


def test_numbers_of_stages_keep_clear(style):
    figure = stages_figure(BARS, 'Measured.')
    figure.canvas.draw()
    axes, unit = figure.axes[0], figure.dpi / 72
    texts = axes.texts
    boxes = extents(figure, texts)
    assert overlapping(texts, boxes) == []
    segments = [bar.get_window_extent().extents for bar in axes.patches]
    for text, box in zip(texts, boxes, strict=True):
        assert axes.get_window_extent().x0 - unit <= box[0] and box[2] <= figure.bbox.width, text
        touched = [bar for bar in segments if boxes_overlap(box, bar)]
        assert len(touched) < 2 and all(bar[0] <= box[0] and box[2] <= bar[2] for bar in touched), text
    above = [text.get_text() for text, box in zip(texts, boxes, strict=True)
             if not any(boxes_overlap(box, bar) for bar in segments) and 'ms' not in text.get_text()]
    assert {'10.2', '12.3', '9.00'} <= set(above) and '1190' not in above


@pytest.mark.parametrize('longest', [4420.0, 4700.0, 90.0, 9.3])
def test_ticks_of_stages_are_not_cut_off(style, longest):
    figure = stages_figure([('ViT-B/16', dict(backbone=longest))], 'Measured.')
    figure.canvas.draw()
    labels = [label for label in figure.axes[0].get_xticklabels() if label.get_text()]
    assert len(labels) > 2
    assert all(box[2] <= figure.bbox.width for box in extents(figure, labels))


@pytest.mark.parametrize('make', [lambda note, title: pareto_figure(CROWD, 'predict', note, title),
                                  lambda note, title: stages_figure(BARS, note, title)])
def test_everything_is_on_the_page_and_large_enough(make, style):
    figure = make('A long footnote ' * 30, 'A long title ' * 12)
    figure.canvas.draw()
    assert 6 <= figure.get_figwidth() <= 7 and to_hex(figure.get_facecolor()) == '#ffffff'
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    assert min(text.get_fontsize() for text in texts) >= SMALL == 8
    lower = [text for text in texts if text in figure.texts or text.get_text() == figure.axes[0].get_xlabel()]
    assert len(lower) >= 3 and overlapping(lower, extents(figure, lower)) == []
    for artist in [*figure.texts, *figure.legends, figure.axes[0].xaxis.label, figure.axes[0].yaxis.label,
                   *figure.axes[0].get_yticklabels()]:
        box = artist.get_window_extent(figure.canvas.get_renderer())
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height, artist


# Files


def svg_texts(path: Path) -> list[str]:
    """What an SVG writes as text; it must be XML."""
    return [''.join(node.itertext()) for node in ElementTree.parse(path).iter('{http://www.w3.org/2000/svg}text')]


def test_the_same_files_whatever_matplotlib_is_set_to(tmp_path, log):
    file = example(tmp_path)
    written = draw(tmp_path / 'one', file, title='Price: $5 & $6')
    assert sorted(path.name for path in written) == OUTPUTS
    assert sorted(path.name for path in (tmp_path / 'one').iterdir()) == OUTPUTS
    with matplotlib.rc_context({'axes.facecolor': 'black', 'font.size': 20, 'svg.fonttype': 'path'}):
        before = dict(matplotlib.rcParams)
        draw(tmp_path / 'two', file, title='Price: $5 & $6')
        assert dict(matplotlib.rcParams) == before
    for name in OUTPUTS:
        assert (tmp_path / 'one' / name).read_bytes() == (tmp_path / 'two' / name).read_bytes(), name
    for name in ('pareto', 'stages'):
        said = svg_texts(tmp_path / 'one' / f'{name}.svg')
        assert {'ViTTM-B(64, 64)', 'ViT-B/16', 'Price: $5 & $6'} <= set(said)
        assert ('ViTTM-S(64, 64)' in said) == (name == 'stages')
        assert any('A <CPU> & more' in text for text in said)
        assert 'dc:date' not in (tmp_path / 'one' / f'{name}.svg').read_text()


@pytest.mark.parametrize('name', OUTPUTS)
def test_nothing_is_overwritten_unasked(name, tmp_path, log):
    out = tmp_path / 'out'
    out.mkdir()
    (out / name).write_text('precious')
    with pytest.raises(InputError, match=f'{name}: there already; .*--overwrite'):
        draw(out, str(tmp_path / 'not read yet.json'))
    assert [path.name for path in out.iterdir()] == [name] and (out / name).read_text() == 'precious'


def test_overwrite_and_wrong_folders(tmp_path, log):
    (tmp_path / 'pareto.svg').write_text('old')
    (tmp_path / 'stages.svg').write_text('old')
    file = write(tmp_path / 'a.json', record(protocol='throughput', stages_ms=dict.fromkeys(['backbone', 'head'])))
    draw(tmp_path, file, overwrite=True)
    assert (tmp_path / 'pareto.svg').read_text() != 'old' and (tmp_path / 'stages.svg').read_text() == 'old'
    assert any(f'No stage plot, for want of latencies by stage (throughput): {VITTM}' in line for line in log)
    assert any(f'{tmp_path / "stages.svg"}: of an earlier run' in line for line in log)
    with pytest.raises(InputError, match='a.json: is a file'):
        draw(Path(file), file)
    with pytest.raises(InputError, match='inside: cannot be written to'):
        draw(Path(file) / 'inside', file)


def test_stages_of_some_configs(tmp_path, log):
    draw(tmp_path, write(tmp_path / 'a.json', record(), record(VIT, stages_ms=None)))
    assert 'ViT-B/16' in svg_texts(tmp_path / 'pareto.svg') and 'ViT-B/16' not in svg_texts(tmp_path / 'stages.svg')
    assert any(line.startswith('Not in the stage plot') and VIT in line for line in log)


def test_nothing_is_written_where_an_input_is_wrong(tmp_path, log):
    with pytest.raises(InputError, match='no mIoU is known'):
        draw(tmp_path / 'out', write(tmp_path / 'a.json', record(SMALL_VITTM)))
    with pytest.raises(InputError, match='no number'):
        draw(tmp_path / 'out', example(tmp_path), mious=[f'{VIT}=x'])
    assert not (tmp_path / 'out').exists()


def test_tool(tmp_path, log):
    file, out = example(tmp_path), tmp_path / 'out'
    command = ('plot.py', file, '-o', out, '--miou', f'{VITTM}=44.5', '--title', 'A title')
    done = run_tool(*command)
    assert f'{SMALL_VITTM}=VALUE' in done.stdout + done.stderr
    draw(tmp_path / 'here', file, mious=[f'{VITTM}=44.5'], title='A title')
    for name in OUTPUTS:  # in another process too
        assert (out / name).read_bytes() == (tmp_path / 'here' / name).read_bytes(), name
    assert {'mIoU: measured', 'mIoU: published'} <= set(svg_texts(out / 'pareto.svg'))
    assert 'there already' in error_of(run_tool(*command, succeeds=False))
