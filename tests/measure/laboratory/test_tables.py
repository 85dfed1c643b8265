"""The tables of a laboratory: every number is that of the results, what is missing is said to be."""
from mmseg_vittm.measure.laboratory.tables import accuracy_table, markdown, missing_of, speed_table

SPEED = dict(fps=12.345, fps_iqr=[12.0, 13.0])
MARGIN = dict(interpolated=dict(mean=1.234, seeds={'0': 1.0, '1': 1.468}), strict=dict(mean=None, seeds={'0': None}))


def row(name: str, **more) -> dict:
    return dict(name=name, way='', params_m=3.0, gflops=12.0, speed={'fp32': SPEED}, missing=[], margins={},
                seeds={}) | more


def seed(validation: float | None = None, shift: float | None = None) -> dict:
    scores = dict(validation=validation, shift=shift)
    return dict(scores={name: dict(mIoU=value) for name, value in scores.items() if value is not None})


def test_numbers_of_the_accuracy_table():
    table = accuracy_table([row('a', seeds={'0': seed(50.0, 30.0), '1': seed(51.5, 31.0)},
                                margins=dict(validation={'fp32': MARGIN}))], 'fp32')
    assert table[0] == '| model | M par. | GFLOPs | FPS, fp32 | mIoU | seeds | shift mIoU | over ViTs | strict |'
    assert table[2] == ('| a | 3.00 | 12.0 | 12.3 | 50.75 | 50.00, 51.50 | 30.50 | +1.23 (+1.00, +1.47) | '
                        'faster than all |')


def test_what_is_missing_is_a_dash_and_is_named():
    rows = [row('a', speed={}, missing=[0, 1]), row('b', seeds={'0': seed()}, missing=[1]),
            row('c', seeds={'0': seed(1.0)})]
    table = accuracy_table(rows, None)
    assert 'shift' not in table[0]
    assert table[2] == '| a | 3.00 | 12.0 | - | - | not trained | - | - |'
    assert table[3].split(' | ')[5] == 'not scored'
    assert missing_of([*rows, row('d', missing=[0, 1]), row('d, windows', way='windows', missing=[0, 1])]) == [
        'Not trained, seeds 0, 1: a; d', 'Not trained, seed 1: b', 'Not scored, seed 0: b']


def test_speeds_of_several_conditions():
    table = speed_table([row('a', speed={'fp32': SPEED}, margins=dict(validation={'fp32': MARGIN}))], ['fp32', 'bf16'])
    assert table[2] == '| a | 12.3 (12.0-13.0) | +1.23 (+1.00, +1.47) | - | - |'


def test_names_cannot_break_a_table():
    assert markdown(['a'], [['x|y']])[2] == '| x\\|y |'
