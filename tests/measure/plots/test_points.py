"""Speeds joined with mIoUs, and names."""
import pytest
from plotted import METAFILES, SEGNEXT, SMALL_VITTM, VIT, VITTM, example, record, write

from mmseg_vittm.errors import InputError
from mmseg_vittm.measure.plots.measurements import describe_conditions, read_measurements
from mmseg_vittm.measure.plots.metafiles import LONGEST_NAME, display_name, read_metafiles
from mmseg_vittm.measure.plots.points import Point, make_points, pareto_front, parse_mious


def test_a_config_in_several_segmentors(tmp_path):
    records = [record(segmentor='Slide'), record(segmentor='Stock', fps=0.4), record(VIT, segmentor='Stock')]
    measurements = read_measurements([write(tmp_path / 'a.json', *records)])
    points = make_points(measurements, read_metafiles(METAFILES), {})
    assert [point.name for point in points] == ['ViTTM-B(64, 64), Slide', 'ViTTM-B(64, 64), Stock', 'ViT-B/16']
    assert describe_conditions(measurements).endswith('20 synthetic images.')
    with pytest.raises(InputError, match='is there already'):
        read_measurements([write(tmp_path / 'a.json', records[0], *records)])


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
    with pytest.raises(InputError, match=f'^miou={options[-1]}: .*{problem}'):
        parse_mious(options, [VIT])


def test_points(tmp_path, log_lines):
    measurements = read_measurements([example(tmp_path)])
    points = make_points(measurements, read_metafiles(METAFILES), {VITTM: 44.0})
    assert points == [Point('ViTTM-B(64, 64)', 'ViTTM', 0.5, 44.0, None, (0.48, 0.51)),
                      Point('ViT-B/16', 'ViT', 0.3, 45.65, 'ViTTM paper, Table 6')]
    warning, = log_lines.of('WARNING')
    assert SMALL_VITTM in warning and f'{SMALL_VITTM}=VALUE' in warning and VIT not in warning
    with pytest.raises(InputError, match=f'known of {SMALL_VITTM}; give miou={SMALL_VITTM}=VALUE$'):
        make_points(measurements[2:] * 2, read_metafiles(METAFILES), {})  # in several segmentors, and named once
    own, = make_points(read_measurements([write(tmp_path / 'own.json', record('my-own'))]), {}, {'my-own': 40.0})
    assert (own.name, own.family) == ('my-own', 'other')


@pytest.mark.parametrize('places, front', [
    ([(1, 50)], [0]),
    ([(3, 40), (1, 50), (2, 45)], [1, 2, 0]),
    ([(1, 50), (2, 45), (1.5, 44), (2.5, 41)], [0, 1, 3]),  # one is worse in both
    ([(1, 50), (1, 49), (2, 49), (2, 50)], [3]),  # equal in one
    ([(1, 50), (2, 40), (2, 40)], [0, 1, 2])])  # equal in both
def test_pareto_front(places, front):
    assert pareto_front(places) == front
