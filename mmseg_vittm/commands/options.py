"""What every command line does alike: common options, errors in one line, earlier runs kept."""
import argparse
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import torch
from mmengine.config import DictAction

from ..engine.processes.stop_signals import STOPS
from ..errors import (
    CheckpointError,
    InputError,
    OutputError,
    TrainingError,
    TrainingStopped,
    one_line,
    printable,
    shown,
)
from ..inference.precision import DTYPES
from ..outputs import NO_ROOM
from ..weights.files import TRUST
from ..weights.mmengine_loader import use_safe_reading
from .launch import LAUNCHERS
from .resuming import command_to_resume
from .terminal import screens

# Arguments that messages of the library name, each `name=value`, and which the command lines have as flags.
FLAGS = ('allow_missing', 'allow_partial', 'amp', 'batch_size', 'boundary', 'by_windows', 'checkpoint', 'classes',
         'compile', 'data_root', 'device', 'dtype', 'image_size', 'keep_going', 'latency', 'launcher', 'miou',
         'opacity', 'out', 'overlap', 'overwrite', 'pretrained', 'resume', 'show_dir', 'split', 'teacher',
         'teacher_dtype', 'threshold', 'throughput', 'tile', 'trust_checkpoint', 'tta', 'val_share', 'void',
         'warm_start', 'work_dir', 'zero')
# A value: True, a string, an absolute path, or a word; and neither part of a path nor of a longer word.
_VALUE = r"""(True|'[^']*'|"[^"]*"|[/~][^\s,;'"()]*|(?!False\b|None\b)[\w.:]+)(?![\w/\\]|\.\w)"""
_ARGUMENT = re.compile(rf'(?<![\w./\\-])({"|".join(FLAGS)})={_VALUE}')
# What torch says where there is no memory: on a CPU, and on a GPU.
NO_MEMORY = ("can't allocate memory", 'not enough memory', 'CUDA out of memory')


class Settings(DictAction):
    """mmengine's `DictAction`, whose errors are argparse's."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: list[str],
                 option_string: str | None = None) -> None:
        """Parses settings, each `KEY=VALUE`."""
        for setting in values:
            try:
                super().__call__(parser, namespace, [setting], option_string)
            except (AssertionError, RecursionError, ValueError) as error:  # unbalanced or nested brackets, no `=`
                reason = one_line(error) if '=' in setting else 'no ='
                raise argparse.ArgumentError(self, f'{shown(setting)!r} is no KEY=VALUE ({reason})') from error


def whole(least: int, most: int) -> Callable[[str], int]:
    """Returns argparse's type of whole numbers from `least` to `most`."""
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:  # no number, or one of over 4300 digits
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f'must be a whole number from {least} to {most}, got {shown(text)}')
        return value
    return parse


def cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def check_device(name: str) -> None:
    """Checks that a device to compute on is there.

    Raises:
        InputError: It is not; says why.
    """
    try:
        there = torch.empty(0, device=name).device.type != 'meta'
        reason = 'it holds no numbers'
    except Exception as error:  # torch imports modules and asks drivers, of some thirty kinds of devices
        there, reason = False, one_line(error)
    if not there:
        raise InputError(f'device={shown(name)}: no such device here ({reason}); give cpu, cuda or cuda:N')


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--data-root` and `--cfg-options` to a parser."""
    parser.add_argument('--data-root', metavar='DIR',
                        help='folder of the data, for every dataset in the config; for ADE20K the folder '
                        'ADEChallengeData2016')
    parser.add_argument('--cfg-options', nargs='+', action=Settings, metavar='KEY=VALUE',
                        help='settings to change, such as train_cfg.max_iters=1000')


def add_checkpoint_options(parser: argparse.ArgumentParser, partial: bool = True) -> None:
    """Adds `--trust-checkpoint`, and `--allow-partial` where checkpoints are whole models, to a parser."""
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='read checkpoints that hold more than weights, although loading them can run code: only '
                        'for files whose source you trust')
    if partial:
        parser.add_argument('--allow-partial', action='store_true',
                            help='load what fits of a checkpoint and log what does not (default: it must fit exactly)')


def add_launch_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--launcher`, and what old launchers give every process, to a parser."""
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='what started the processes')
    parser.add_argument('--local_rank', '--local-rank', type=whole(0, 1 << 20), default=0, help=argparse.SUPPRESS)


def add_speed_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--dtype` and `--compile` to the parser of a tool that predicts."""
    parser.add_argument('--dtype', choices=sorted(DTYPES), default='fp32',
                        help='fp32, tf32 for its matrix products and convolutions, or bf16 and fp16 by autocast '
                        '(default: %(default)s)')
    parser.add_argument('--compile', action='store_true', help='torch.compile the network: the first images take '
                        'minutes; it pays on GPUs, hardly on CPUs')


def run(main: Callable[[], None]) -> None:
    """Runs a tool, which reads checkpoints without running code in them, whatever config it is given.

    A user's error becomes one line on stderr and exit status 2, anything else a traceback. Where a signal stops
    training, the line is how to go on, and the status `TrainingStopped.STATUS`. No output steers the terminal, whatever
    file names there are.
    """
    use_safe_reading()
    try:
        with screens():
            main()
    except TrainingStopped as stop:
        for number in STOPS:  # what started several processes ends those that end last
            signal.signal(number, signal.SIG_IGN)
        if stop.message:
            said = f'{as_flags(stop.message)}: {command_to_resume(stop.work_dir, as_flags(stop.resume))}'
            sys.stderr.write(f'stopped by {printable(said)}\n')
        sys.exit(stop.STATUS)
    except KeyboardInterrupt:
        sys.stderr.write('error: interrupted\n')
        sys.exit(128 + signal.SIGINT)
    except (InputError, OutputError, CheckpointError, TrainingError) as error:
        fail(str(error))
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in NO_MEMORY):
            raise
        fail(f'there is not enough memory ({one_line(error)}); give smaller batches, images or models, or another '
             'device')
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        fail(f'{error.filename or "a log file"}: could not be written ({error.strerror}); make room on that disk '
             'and run it again; training goes on with --resume')


def as_flags(message: str) -> str:
    """Returns a message of the library with its arguments as the command line has them.

    `overwrite=True` becomes `--overwrite`, `resume='auto'` `--resume=auto`, `data_root=DIR` `--data-root DIR`. Other
    text stays as it is, such as parts of paths and settings of a config.
    """
    def flag(found: re.Match) -> str:
        name, value = f'--{found[1].replace("_", "-")}', found[2]
        if value == 'True':
            return name
        return f'{name}={value[1:-1]}' if value[0] in '\'"' else f'{name} {value}'
    message = _ARGUMENT.sub(flag, message).replace(TRUST, 'by --trust-checkpoint')
    return message.replace('by cfg_options', 'by --cfg-options')


def fail(message: str) -> NoReturn:
    """Ends the process with an error in one line and status 2."""
    sys.stderr.write(f'error: {printable(as_flags(message))}\n')
    sys.exit(2)
