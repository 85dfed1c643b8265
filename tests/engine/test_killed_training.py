"""SIGKILL at random moments of training: every time it goes on and ends where the uninterrupted run does.

MMSEG_VITTM_KILLS=50 kills that many runs; MMSEG_VITTM_SEED draws other moments.
"""
import os
import random
import time
from collections import Counter
from pathlib import Path

from forked_runs import assert_same_state, recorded, start, train, write_random_config

KILLS = int(os.environ.get('MMSEG_VITTM_KILLS', 2))
SEED = int(os.environ.get('MMSEG_VITTM_SEED', 0))


def slow_disk(rank: int) -> None:
    """Saving takes a good part of the run, so that kills hit the moments between its steps too."""
    for name in ('fsync', 'replace', 'unlink'):
        real = getattr(os, name)

        def slowly(*arguments, function=real, **keywords):
            time.sleep(0.02)
            return function(*arguments, **keywords)
        setattr(os, name, slowly)


def iterations(work: Path) -> int:
    log = work / 'losses_0.txt'
    return len(log.read_text().splitlines()) if log.is_file() else 0


def test_killed_at_random_moments(tmp_path):
    draw = random.Random(SEED)
    config = write_random_config(tmp_path)
    train(config, tmp_path / 'whole', before=slow_disk)
    began = time.monotonic()
    train(config, tmp_path / 'again', before=slow_disk)  # the data are there now
    takes = time.monotonic() - began
    survived, resumed_at = 0, []
    while survived < KILLS:
        work = tmp_path / f'killed_{survived}'
        (work / 'losses_0.txt').unlink(missing_ok=True)
        run = start(config, work, before=slow_disk)
        seen = draw.randrange(12)  # iterations before the kill, whatever else the machine does
        while run.processes[0].is_alive() and iterations(work) < seen:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, takes / 12 if seen else takes / 3))
        if not run.processes[0].is_alive():
            continue  # too late; its work dir is used again, by a new run
        run.wait(0)
        left = sorted(path.name for path in work.glob('iter_*.pth'))
        done = train(config, work, '--resume=auto', before=slow_disk).output()
        resumed_at.append(left[-1] if left else None)
        assert 'Passed over' not in done, done[-3000:]  # what has a checkpoint's name is whole
        assert_same_state(work / 'iter_12.pth', tmp_path / 'whole' / 'iter_12.pth')
        assert recorded(work) == recorded(tmp_path / 'whole')
        assert sorted(path.name for path in work.glob('*.pth')) == ['iter_10.pth', 'iter_12.pth']
        assert not list(work.glob('.*.part*')) and (work / 'last_checkpoint').read_text() == 'iter_12.pth'
        assert 'mIoU' in done  # it was validated at the end
        survived += 1
    print(f'{survived} kills survived; newest checkpoint then: {Counter(resumed_at)}')
