"""What trainings logged, read again: of runs that were stopped and gone on with too."""
import json

import pytest

from mmseg_vittm.commands.laboratory.curves import curve, newest_step, seconds_per_iteration


def write(folder, name: str, *entries: dict) -> None:
    path = folder / name / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, entries)) + '\n')


def test_a_curve_is_of_what_counts(tmp_path):
    write(tmp_path, '20260101_000000', dict(loss=1.0, step=50), dict(mIoU=10.0, step=100), dict(loss=1.0, step=150),
          dict(mIoU=20.0, step=200), dict(mIoU=30.0, step=300))
    assert curve(tmp_path) == [(100, 10.0), (200, 20.0), (300, 30.0)] and newest_step(tmp_path) == 300
    write(tmp_path, '20260102_000000', dict(loss=1.0, step=210), dict(mIoU=31.0, step=300))  # gone on from 200
    assert curve(tmp_path) == [(100, 10.0), (200, 20.0), (300, 31.0)]
    write(tmp_path, '20260103_000000', dict(loss=1.0, step=50), dict(mIoU=11.0, step=100))  # begun anew
    assert curve(tmp_path) == [(100, 11.0)] and newest_step(tmp_path) == 100


def test_lines_that_are_cut_are_left_out(tmp_path):
    write(tmp_path, '20260101_000000', dict(mIoU=10.0, step=100))
    with open(tmp_path / '20260101_000000' / 'vis_data' / 'scalars.json', 'a') as file:
        file.write('{"mIoU": 20.0, "st')
    assert curve(tmp_path) == [(100, 10.0)] and newest_step(tmp_path) == 100
    assert curve(tmp_path / 'none') == [] and newest_step(tmp_path / 'none') == 0


def test_seconds_are_the_median_of_training(tmp_path):
    write(tmp_path, '20260101_000000', *(dict(loss=1.0, time=time, step=1) for time in (0.5, 0.7, 9.0)),
          dict(mIoU=1.0, time=100.0, step=2))
    assert seconds_per_iteration(tmp_path) == pytest.approx(0.7)
    assert seconds_per_iteration(tmp_path / 'none') is None
