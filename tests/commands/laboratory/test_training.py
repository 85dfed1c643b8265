"""Trainings of a laboratory: in order, a few at a time, stopped and gone on with, failed without stopping others."""
import io
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from laboratories import PLAN, write_laboratory
from rich.console import Console
from tiny_models import ROOT

from mmseg_vittm.commands.laboratory.carrying_out import carry_out, chosen
from mmseg_vittm.commands.laboratory.laboratory import Laboratory
from mmseg_vittm.commands.laboratory.plan import Run
from mmseg_vittm.commands.laboratory.plan_file import read_plan
from mmseg_vittm.commands.laboratory.training import Training, to_train
from mmseg_vittm.engine.work_dir.lock import LOCK
from mmseg_vittm.errors import InputError, TrainingError, TrainingStopped

STUB = Path(__file__).with_name('stub_train.py')
CAMVID = ROOT / 'configs' / '_base_' / 'datasets' / 'camvid.py'


class Counting(Laboratory):
    """A laboratory whose runs are done where their last checkpoint is, whatever is in it."""

    def is_done(self, run: Run) -> bool:
        return self.checkpoint(run).is_file()

    def identity(self, run: Run) -> str:
        return str(run)


@pytest.fixture
def lab(tmp_path, request):
    """A laboratory of rows of these names, each on one seed."""
    def make(*rows: str, **sources) -> Counting:
        rows = [dict(name=name, config='vittm.py', **sources.get(name, {})) for name in rows]
        return Counting(read_plan(write_laboratory(tmp_path, rows=rows, seeds=[0])), tmp_path / 'work')
    return make


def train(laboratory: Laboratory, jobs: int = 1) -> tuple[Training, str]:
    said = io.StringIO()
    runs = to_train(laboratory, laboratory.plan.runs())
    training = Training(laboratory, runs, STUB, jobs, Console(file=said, width=200))
    training.run()
    return training, said.getvalue()


def started(laboratory: Laboratory, row: str) -> list[dict]:
    file = laboratory.folder(Run('toy', row, 0)) / 'started.jsonl'
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_runs_come_in_order_after_what_they_need(lab):
    laboratory = lab('b', 'a', 'c', b=dict(warm_start='c'), c=dict(teacher='a'))
    assert [run.row for run in to_train(laboratory, [Run('toy', 'b', 0)])] == ['a', 'c', 'b']
    training, said = train(laboratory)
    assert not training.failures and [started(laboratory, row)[0]['at'] for row in 'acb'] == sorted(
        started(laboratory, row)[0]['at'] for row in 'acb')
    words = started(laboratory, 'b')[0]['words']
    assert words[-2:] == ['--warm-start', str(laboratory.checkpoint(Run('toy', 'c', 0)))]
    assert said.count('trained, 4 iterations') == 3 and '12/12 iterations' in said
    assert to_train(laboratory, laboratory.plan.runs()) == []


def test_the_config_of_a_teacher_that_was_trained_otherwise_is_there(lab):
    laboratory = lab('a', 'b', b=dict(teacher='a'))
    done = laboratory.checkpoint(Run('toy', 'a', 0))
    done.parent.mkdir(parents=True)
    done.write_text('')
    train(laboratory)
    flag, config, checkpoint = started(laboratory, 'b')[0]['words'][-3:]
    assert (flag, checkpoint) == ('--teacher', str(done)) and Path(config).is_file()


def test_two_at_a_time_have_a_thread_each(lab, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '7')
    rows = ('meets_one', 'meets_two', 'third')
    laboratory = lab(*rows)
    training, _ = train(laboratory, jobs=2)
    assert not training.failures
    ends = [float((laboratory.folder(Run('toy', row, 0)) / 'ended').read_text()) for row in rows]
    assert started(laboratory, 'third')[0]['at'] > min(ends[:2])
    assert {started(laboratory, row)[0]['threads'] for row in rows} == {'1'}


def test_one_at_a_time_has_the_threads_of_the_environment(lab, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '7')
    laboratory = lab('a')
    train(laboratory)
    assert started(laboratory, 'a')[0]['threads'] == '7'


def test_a_run_that_fails_stops_no_other_but_those_that_need_it(lab):
    laboratory = lab('fails', 'after', 'other', after=dict(warm_start='fails'))
    training, said = train(laboratory)
    assert set(training.failures) == {Run('toy', 'fails', 0), Run('toy', 'after', 0)}
    assert training.failures[Run('toy', 'after', 0)] == 'needs toy/fails/seed0, which failed'
    assert 'toy/fails/seed0: failed: status 2' in said and r'error: the \x1b[31mreason' in said
    assert laboratory.is_done(Run('toy', 'other', 0)) and not laboratory.folder(Run('toy', 'after', 0)).exists()


def test_the_command_ends_with_the_failures_named(lab, tmp_path):
    laboratory, said = lab('fails'), io.StringIO()
    for stages, command in ((['train'], 'command'), (['train', 'report'], 'command, with overwrite=True,')):
        with pytest.raises(TrainingError, match=f'1 of 1 trainings failed: toy/fails/seed0; .* the same {command} tri'):
            carry_out(laboratory.plan, str(tmp_path / 'out'), str(laboratory.work_dir), {}, [], stages, 1, False, False,
                      STUB, Console(file=said))
        assert (tmp_path / 'out').exists() == ('report' in stages)


def test_data_that_are_missing_are_told_once_before_anything_trains(lab, tmp_path):
    laboratory = lab('a', 'b')
    plan = read_plan(write_laboratory(tmp_path, rows=yaml.safe_load(Path(laboratory.plan.path).read_text())['rows'],
                                      data=[dict(name='toy', image_size=[64, 64], config=str(CAMVID))]))
    for stages, loader in ((['train'], 'train_dataloader'), (['train', 'score'], 'train_dataloader')):
        with pytest.raises(InputError, match=f'nowhere.*{loader}.*; give data_root=toy=DIR, the folder that holds it'):
            carry_out(plan, str(tmp_path / 'out'), str(laboratory.work_dir), dict(toy='nowhere'), [], stages, 1, False,
                      False, STUB, Console(file=io.StringIO()))
    assert not laboratory.work_dir.exists()


def test_a_signal_has_the_runs_save_themselves_and_they_go_on(lab):
    laboratory = lab('slow', 'other')
    run = Run('toy', 'slow', 0)

    def signal_once_it_runs() -> None:
        while not list(laboratory.folder(run).glob('*/vis_data/scalars.json')):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=signal_once_it_runs).start()
    with pytest.raises(TrainingStopped, match='SIGTERM: what was under way is saved') as stopped:
        train(laboratory)
    assert stopped.value.code == 75 and laboratory.done_iterations(run) == 2
    assert not laboratory.folder(Run('toy', 'other', 0)).exists()
    training, said = train(laboratory)
    assert not training.failures and [one['begins'] for one in started(laboratory, 'slow')] == [0, 2]
    assert laboratory.is_done(run) and laboratory.is_done(Run('toy', 'other', 0))


def test_a_training_under_way_elsewhere_is_waited_for(lab):
    """As of a laboratory that was killed at once, whose trainings live on."""
    laboratory = lab('a', 'b')
    folder = laboratory.folder(Run('toy', 'a', 0))
    folder.mkdir(parents=True)
    lock = FileLock(folder / LOCK, thread_local=False)
    lock.acquire()

    def finish() -> None:
        while not laboratory.is_done(Run('toy', 'b', 0)):
            time.sleep(0.05)
        (folder / 'iter_4.pth').write_text('')
        lock.release()
    threading.Thread(target=finish).start()
    training, _ = train(laboratory)
    assert not training.failures and not (folder / 'started.jsonl').exists()


def test_one_laboratory_at_a_time_in_a_work_dir(lab, tmp_path):
    laboratory = lab('a')
    laboratory.work_dir.mkdir()
    with FileLock(laboratory.work_dir / LOCK), pytest.raises(InputError, match='another work_dir=DIR'):
        carry_out(laboratory.plan, str(tmp_path / 'out'), str(laboratory.work_dir), {}, [], ['train'], 1, False, False,
                  STUB, Console(file=io.StringIO()))
    assert not (laboratory.work_dir / 'toy').exists()


def test_a_report_may_be_written_meanwhile(lab, tmp_path):
    laboratory = lab('a')
    laboratory.work_dir.mkdir()
    with FileLock(laboratory.work_dir / LOCK):
        carry_out(laboratory.plan, str(tmp_path / 'out'), str(laboratory.work_dir), {}, [], ['report'], 1, False, False,
                  STUB, Console(file=io.StringIO()))
    assert 'Not trained, seed 0: a.' in (tmp_path / 'out' / 'table.md').read_text()


@pytest.mark.parametrize(('only', 'runs'), [
    ([], 4), (['vit_16'], 2), (['b/*'], 2), (['a/vittm'], 1), (['*/seed0'], 4), (['a/vittm/seed0', 'b/vit_1?'], 2)])
def test_runs_are_chosen_by_patterns(tmp_path, only, runs):
    plan = read_plan(write_laboratory(tmp_path, PLAN, seeds=[0],
                                      data=[dict(name=name, image_size=[64, 64]) for name in 'ab']))
    assert len(chosen(plan, only)) == runs
    with pytest.raises(InputError, match='only=vit_8: no run of .* is like that; there are vit_16, vittm on a, b'):
        chosen(plan, [*only, 'vit_8'])
