"""`tools/check_dataset.py`: what it says and writes, and what it ends with."""
import csv
import errno
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from bad_files import splits_config, spoil, write_set
from PIL import Image
from tiny_models import ROOT
from tool_inside import error_inside
from tool_runs import environment, in_the_foreground, run_tool, tool_command


def write_config(path, root) -> str:
    path.write_text(splits_config(root).dump())
    return str(path)


def test_tool_and_its_exit_status(tmp_path):
    root = write_set(tmp_path / 'set')
    config = write_config(tmp_path / 'set.py', root)
    done = run_tool('check_dataset.py', config, '-o', tmp_path / 'out', '--workers', '2')
    assert '0 problems in 16 files' in done.stdout and 'sky' in done.stdout and 'ETA' in done.stdout
    assert Image.open(tmp_path / 'out/classes.png').size[0] > 500
    assert '>tree</text>' in (tmp_path / 'out/classes.svg').read_text()
    path, message = spoil(root, 'half a label')
    done = run_tool('check_dataset.py', config, '-o', tmp_path / 'out', '--overwrite', succeeds=False)
    assert done.returncode == 1 and 'Traceback' not in done.stderr and '1 problems in 16 files' in done.stdout
    rows = list(csv.DictReader((tmp_path / 'out/problems.csv').read_text().splitlines()))
    assert [row['file'] for row in rows] == [str(path)] and message in rows[0]['problem']


def test_user_errors(tmp_path, monkeypatch, capsys):
    root = write_set(tmp_path / 'set')
    config = write_config(tmp_path / 'set.py', root)
    said = error_inside(monkeypatch, capsys, 'check_dataset.py', config, '--data-root', tmp_path / 'none')
    assert str(tmp_path / 'none/images/training') in said and 'no such folder' in said
    said = error_inside(monkeypatch, capsys, 'check_dataset.py', tmp_path / 'none.py')
    assert 'no such config' in said
    said = error_inside(monkeypatch, capsys, 'check_dataset.py', ROOT / 'configs/_base_/default_runtime.py')
    assert 'no dataset' in said
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/classes.csv').touch()
    said = error_inside(monkeypatch, capsys, 'check_dataset.py', config, '-o', tmp_path / 'out')
    assert 'classes.csv: there already' in said
    said = error_inside(monkeypatch, capsys, 'check_dataset.py', config, '-o', config)
    assert 'set.py' in said
    assert 'at least 1' in error_inside(monkeypatch, capsys, 'check_dataset.py', config, '--workers', '0')


@pytest.mark.skipif(not os.path.isdir('/proc'), reason='needs limits of Linux')
@pytest.mark.parametrize('out', ['out', 'set.py/out', 'x' * 300, 'full'])
def test_a_report_that_cannot_be_written(tmp_path, monkeypatch, capsys, out):
    """One line, and nothing of the report stays; on a full disk too."""
    config = write_config(tmp_path / 'set.py', write_set(tmp_path / 'set'))
    if out == 'out':
        (tmp_path / 'out').touch()
    before = sorted(tmp_path.rglob('*'))
    if out == 'full':
        def full(path, content, own=Path.write_bytes):
            own(path, content[:100])
            raise OSError(errno.ENOSPC, 'No space left on device')
        monkeypatch.setattr(Path, 'write_bytes', full)
    said = error_inside(monkeypatch, capsys, 'check_dataset.py', config, '-o', tmp_path / out, '--workers', '1')
    assert 'cannot be written' in said and said.startswith('error: ') and out in said
    assert [path for path in sorted(tmp_path.rglob('*')) if path.is_file()] == [p for p in before if p.is_file()]


def test_a_mistyped_data_root_draws_nothing(tmp_path, monkeypatch, capsys):
    toy = ROOT / 'configs' / 'segmenter_vittm_t_toy.py'
    monkeypatch.chdir(tmp_path)
    for tool in (['check_dataset.py'], ['train.py', '--work-dir', 'work']):
        said = error_inside(monkeypatch, capsys, tool[0], toy, '--data-root', tmp_path / 'toy_scnes', *tool[1:])
        assert f'{tmp_path}/toy_scnes: no such folder' in said and 'train_dataloader.dataset.draw=True' in said
        assert 'correct --data-root' in said or 'correct data_root' in said
    assert os.listdir(tmp_path) == []


def test_interrupt_is_clean(tmp_path):
    root = write_set(tmp_path / 'set', size=(400, 300))
    for path in [*root.glob('*/*/*.*')]:
        for number in range(1000):  # seconds of work, which a signal will meet
            os.link(path, path.with_stem(f'{path.stem}_{number}'))
    config = write_config(tmp_path / 'set.py', root)
    process = subprocess.Popen(
        tool_command('check_dataset.py', config, '--workers', '2'), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, env=environment(PYTHONUNBUFFERED=1),
        preexec_fn=in_the_foreground)
    for line in process.stdout:
        if 'checking' in line:
            break
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and 'interrupted' in errors and 'Traceback' not in errors + rest
    time.sleep(0.2)
    with pytest.raises(ProcessLookupError):  # nothing of the group is left
        os.killpg(process.pid, 0)
