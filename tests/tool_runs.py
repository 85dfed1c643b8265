"""Tools as users run them: processes, on a tiny model and a handful of toy scenes."""
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tiny_models import ROOT

TINY_CONFIG = """
_base_ = {base!r}
data_root = {data!r}
crop_size = (64, 64)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='Resize', scale=crop_size, keep_ratio=True),
    dict(type='PackSegInputs'),
]
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(img_size=crop_size, arch=dict(embed_dims=48, num_layers=2, num_heads=3, mlp_ratio=4.0)),
    decode_head=dict(in_channels=96, channels=48, embed_dims=48),
    auxiliary_head=dict(in_channels=96, channels=96))
dataset = dict(data_root=data_root, draw=True, image_size=64, num_train=8, num_val=4)
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(pipeline=pipeline, **dataset))
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dataset)
test_dataloader = val_dataloader
total_batch_size = 4
train_cfg = dict(max_iters=4, val_interval=4)
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='Resize', scale_factor=ratio, keep_ratio=True) for ratio in (1.0, 1.5)],
        [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
        [dict(type='LoadAnnotations', reduce_zero_label=True)],
        [dict(type='PackSegInputs')],
    ]),
]
"""


def in_the_foreground() -> None:
    """Has this process, a child of the tests, obey signals, which a background job of a shell and nohup ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@dataclass
class TrainedRun:
    """A finished training run of the tiny config: 4 iterations, checkpoints after 2 and 4, a validation at the end."""
    config: Path
    work_dir: Path
    data: Path
    output: str

    @property
    def checkpoint(self) -> Path:
        return self.work_dir / 'iter_4.pth'


def write_config(folder: Path, name: str = 'tiny.py', more: str = '') -> Path:
    """Writes a tiny toy config into a folder, with lines of its own at the end; its data goes beside it."""
    path = folder / name
    base = str(ROOT / 'configs' / 'segmenter_vittm_t_toy.py')
    path.write_text(TINY_CONFIG.format(base=base, data=str(folder / 'toy')) + more)
    return path


def environment(threads: int = 1, **more: object) -> dict[str, str]:
    """The environment of a process that sees the repository and this interpreter.

    Args:
        threads: Of the CPU, for the process.
        **more: Further variables.
    """
    own = dict(OMP_NUM_THREADS=threads,
               PYTHONPATH=os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')])),
               PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']]))
    return os.environ | {name: str(value) for name, value in (own | more).items()}


def tool_command(name: str, *arguments: object) -> list[str]:
    """The command line of `tools/NAME ...`; a `.sh` goes through bash."""
    program = 'bash' if name.endswith('.sh') else sys.executable
    return [program, str(ROOT / 'tools' / name), *map(str, arguments)]


def run_tool(name: str, *arguments: object, succeeds: bool = True, cwd: Path = ROOT, threads: int = 1,
             **more: object) -> subprocess.CompletedProcess:
    """Runs `tools/NAME ...` and checks whether it succeeded; more keywords are environment variables."""
    done = subprocess.run(tool_command(name, *arguments), capture_output=True, text=True, timeout=600, cwd=cwd,
                          env=environment(threads, **more))
    assert (done.returncode == 0) == succeeds, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def free_port() -> int:
    """A port that the processes of a run may meet at."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


def error_of(done: subprocess.CompletedProcess) -> str:
    """The one line that a tool ends with when its input is wrong: no traceback, status 2."""
    assert done.returncode == 2 and 'Traceback' not in done.stderr, done.stderr[-3000:]
    return next(line for line in done.stderr.splitlines() if line.startswith('error: '))


def logged(work_dir: Path) -> list[dict]:
    """What the newest run in a work dir logged, an entry per line."""
    newest = max(work_dir.glob('2*/vis_data/scalars.json'))
    return [json.loads(line) for line in newest.read_text().splitlines()]


def logged_scores(work_dir: Path) -> dict:
    """What the newest test run in a work dir scored, in percent."""
    newest = max(work_dir.glob('2*/2*.json'))
    scores = json.loads(newest.read_text().splitlines()[-1])
    return {name: scores[name] for name in ('mIoU', 'aAcc', 'mAcc')}


def losses(work_dir: Path) -> list[float]:
    """The losses that the newest run in a work dir logged."""
    return [entry['loss'] for entry in logged(work_dir) if 'loss' in entry]
