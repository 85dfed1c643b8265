"""What every command line does alike: common options, errors in one line, earlier runs kept."""
import argparse
import errno
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from mmengine.config import DictAction

from ..errors import CheckpointError, InputError, TrainingError
from ..precision import DTYPES

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--data-root` and `--cfg-options` to a parser."""
    parser.add_argument('--data-root', metavar='DIR',
                        help='folder of the data, for every dataset in the config; for ADE20K the folder '
                        'ADEChallengeData2016')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='settings to change, such as train_cfg.max_iters=1000')


def add_checkpoint_options(parser: argparse.ArgumentParser, partial: bool = True) -> None:
    """Adds `--trust-checkpoint`, and `--allow-partial` where checkpoints are whole models, to a parser."""
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='read checkpoints that hold more than weights, although loading them can run code: only '
                        'for files whose source you trust')
    if partial:
        parser.add_argument('--allow-partial', action='store_true',
                            help='load what fits of a checkpoint and log what does not (default: it must fit exactly)')


def add_speed_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--dtype` and `--compile` to the parser of a tool that predicts."""
    parser.add_argument('--dtype', choices=sorted(DTYPES), default='fp32',
                        help='fp32, tf32 for its matrix products and convolutions, or bf16 and fp16 by autocast '
                        '(default: %(default)s)')
    parser.add_argument('--compile', action='store_true', help='torch.compile the network: the first images take '
                        'minutes; it pays on GPUs, hardly on CPUs')


def run(main: Callable[[], None]) -> None:
    """Runs a tool; a user's error becomes one line on stderr and exit status 2, anything else a traceback."""
    try:
        main()
    except (InputError, CheckpointError, TrainingError) as error:
        fail(str(error))
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        fail(f'{error.filename or "a log file"}: could not be written ({error.strerror}); make room on that disk, and '
             'go on with --resume')


def fail(message: str) -> NoReturn:
    """Ends the process with an error in one line and status 2."""
    sys.stderr.write(f'error: {message}\n')
    sys.exit(2)


def set_aside_earlier_run(work_dir: str) -> Path | None:
    """Moves checkpoints of an earlier run in a work dir into a subfolder, so that a new run overwrites nothing.

    Returns:
        The subfolder, or None where there was nothing to move.
    """
    folder = Path(work_dir)
    earlier = [path for pattern in ('iter_*.pth', 'epoch_*.pth', 'best_*.pth', 'last_checkpoint', 'pictures')
               for path in folder.glob(pattern)]
    if not earlier:
        return None
    aside = folder / f'earlier_{time.strftime("%Y%m%d_%H%M%S")}'
    aside.mkdir()
    for path in earlier:
        path.rename(aside / path.name)
    return aside
