"""What every command line does alike: errors in one line, with flags for arguments."""
import argparse
import errno

import pytest

from mmseg_vittm.commands.options import add_config_options, as_flags, run
from mmseg_vittm.errors import CheckpointError, InputError, TrainingError


@pytest.mark.parametrize(('message', 'expected'), [
    ('give another name, or overwrite=True', 'give another name, or --overwrite'),
    ("resume=True: leave it out (resume='auto' does either)", '--resume: leave it out (--resume=auto does either)'),
    ('choose another work_dir=DIR.', 'choose another --work-dir DIR.'),
    ('Did you mean data_root=/data/my_ade?', 'Did you mean --data-root /data/my_ade?'),
    ('data_root="a folder": no such folder', '--data-root=a folder: no such folder'),
    ('device=cuda:3 is not there', '--device cuda:3 is not there'),
    ('read it in `with mmseg_vittm.trust_checkpoints():`', 'read it by --trust-checkpoint'),
    ('set (dtype=fp32, compile=True)', 'set (--dtype fp32, --compile)')])
def test_arguments_become_flags(message, expected):
    assert as_flags(message) == expected


@pytest.mark.parametrize('message', [
    'runs/device=1/iter_2.pth: damaged', 'device=1/iter_2.pth: damaged', r'C:\device=1\x', 'total_batch_size=6',
    'train_dataloader.batch_size=4', 'overwrite=False', 'resume=None', 'device', 'out of memory', "type='resume'",
    'the device = cpu', 'unknown=True'])
def test_other_text_is_left_alone(message):
    assert as_flags(message) == message


@pytest.mark.parametrize('kind', [InputError, CheckpointError, TrainingError])
def test_a_users_error_is_one_line(kind, capsys):
    def main():
        raise kind('x.pth: there already; overwrite=True')
    with pytest.raises(SystemExit, match='2'):
        run(main)
    assert capsys.readouterr().err == 'error: x.pth: there already; --overwrite\n'


def test_full_disk_elsewhere_is_one_line(capsys):
    def main():
        raise OSError(errno.ENOSPC, 'No space left on device', 'scalars.json')
    with pytest.raises(SystemExit, match='2'):
        run(main)
    assert capsys.readouterr().err.startswith('error: scalars.json: could not be written (No space left on device)')

    def other():
        raise OSError(errno.EPERM, 'not ours')
    with pytest.raises(OSError, match='not ours'):
        run(other)


@pytest.mark.parametrize('words', [['a'], ['a=1', 'b'], ['a=(1,2']])
def test_settings_that_are_none_are_an_error_of_the_parser(words, capsys):
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    with pytest.raises(SystemExit, match='2'):
        parser.parse_args(['--cfg-options', *words])
    assert repr(words[-1]) in capsys.readouterr().err.splitlines()[-1]


def test_settings_are_read_as_mmengines():
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    args = parser.parse_args(['--cfg-options', 'a.b=1', 'c=[x,2.5]', '--cfg-options', 'd=k=v'])
    assert args.cfg_options == {'a.b': 1, 'c': ['x', 2.5], 'd': 'k=v'}
