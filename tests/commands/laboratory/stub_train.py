"""Stands in for `tools/train.py`: counts in its work dir as training would, does what the run's name says.

`slow` takes until it is asked to stop, and goes on from what it has saved; `fails` does; those that meet wait until two
of them have begun; all others are done at once.
"""
import json
import os
import signal
import sys
import time
from pathlib import Path

words = sys.argv[1:]
folder, row = Path(words[words.index('--work-dir') + 1]), Path(words[0]).stem
log = folder / f'{time.time_ns()}' / 'vis_data' / 'scalars.json'
log.parent.mkdir(parents=True)
saved = max((int(path.stem.split('_')[1]) for path in folder.glob('iter_*.pth')), default=0)
(folder / 'started.jsonl').open('a').write(json.dumps(dict(
    words=words, begins=saved, threads=os.environ.get('OMP_NUM_THREADS'), at=time.monotonic())) + '\n')


def save(iteration: int) -> None:
    (folder / f'iter_{iteration}.pth').write_text('')


def stop(*_) -> None:
    save(2)
    sys.exit(75)


if row == 'fails':
    sys.stderr.write('much before\n' + 'error: the \x1b[31mreason\n')
    sys.exit(2)
signal.signal(signal.SIGTERM, stop)
if row == 'slow' and saved == 0:
    log.write_text(json.dumps(dict(loss=1.0, step=1)) + '\n')
    time.sleep(60)
log.write_text(json.dumps(dict(loss=1.0, step=4)) + '\n' + json.dumps(dict(mIoU=50.0, step=4)) + '\n')
while row.startswith('meets') and len(list(folder.parents[1].glob('meets*/seed0/started.jsonl'))) < 2:
    time.sleep(0.05)
(folder / 'ended').write_text(str(time.monotonic()))
save(4)
