"""Training of classifiers: stopped and resumed it is the whole run bit for bit; two processes read what one does."""
import os
import re
import signal

import pytest
from class_images import TINY_VITTM, write_class_config, write_shards, write_tree
from forked_runs import assert_same_state, recorded, start, train
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from tool_runs import losses

RECORDED = "custom_hooks.append(dict(type='LossRecorder'))\n"
UNMIXED = 'model.update(mixup=0, cutmix=0, drop_path_rate=0)\n'  # which draw by process
PATHS = "custom_hooks.append(dict(type='PathRecorder'))\n"
WORKERS = ('--cfg-options', 'train_dataloader.num_workers=2', 'train_dataloader.persistent_workers=True')


@HOOKS.register_module()
class PathRecorder(Hook):
    """Prints which images each iteration had, in every process."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        for path in data_batch['img_path']:
            os.write(1, f'saw {runner.iter} {path}\n'.encode())


@HOOKS.register_module()
class Terminator(Hook):
    """Sends the run SIGTERM before an iteration."""

    def __init__(self, done: int):
        self.done = done

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.done:
            os.kill(os.getpid(), signal.SIGTERM)


def write_run(folder, sharded, more=RECORDED):
    data = folder / 'data'
    if sharded:
        write_shards(data)
    else:
        write_tree(data)
    return write_class_config(folder / 'tiny.py', data, model=TINY_VITTM, sharded=3 * sharded, more=more)


@pytest.mark.parametrize('sharded', [pytest.param(False, id='folders', marks=pytest.mark.slow),
                                     pytest.param(True, id='shards')])
def test_stopped_by_a_signal_and_resumed_it_is_the_whole_run(sharded, tmp_path):
    """The images, their augmentation, mixup and CutMix, drop path, the averaged weights, the schedules."""
    config = write_run(tmp_path, sharded)
    train(config, tmp_path / 'whole')
    stopping = config.with_name('stopping.py')
    stopping.write_text(config.read_text() + "custom_hooks.append(dict(type='Terminator', done=4))\n")
    run = start(stopping, tmp_path / 'parts')
    assert run.wait(120) == [75], run.output()[-3000:]
    assert (tmp_path / 'parts' / 'iter_5.pth').is_file()
    train(config, tmp_path / 'parts', '--resume', *WORKERS)  # and without them before
    assert len(recorded(tmp_path / 'whole')) == 12
    assert recorded(tmp_path / 'parts') == recorded(tmp_path / 'whole')
    assert_same_state(tmp_path / 'parts' / 'iter_12.pth', tmp_path / 'whole' / 'iter_12.pth')
    log = (tmp_path / 'parts' / 'output_0.txt').read_text()
    scores = re.findall(r'(?:plain/)?(?:process|memory)_top[15]', log.split('Iter(val)')[-1])
    assert sorted(scores) == sorted(f'{plain}{head}_top{k}' for plain in ('', 'plain/')
                                    for head in ('process', 'memory') for k in (1, 5))


@pytest.mark.parametrize('sharded', [pytest.param(False, id='folders'),
                                     pytest.param(True, id='shards', marks=pytest.mark.slow)])
def test_two_processes_read_what_one_does(sharded, tmp_path):
    config = write_run(tmp_path, sharded, UNMIXED + PATHS)
    one = train(config, tmp_path / 'one')
    two = train(config, tmp_path / 'two', processes=2)
    assert losses(tmp_path / 'two') == pytest.approx(losses(tmp_path / 'one'), abs=1e-4)
    seen = [re.findall(r'^saw \d+ .*$', said, re.MULTILINE)
            for said in (one.output(), two.output(0) + two.output(1))]
    assert len(seen[0]) == 6 * 12 and sorted(seen[0]) == sorted(seen[1])
    first = {path.split()[2] for path in seen[0] if int(path.split()[1]) < 2}
    assert len(first) == 12  # of 15 images: none twice before all have come
    scores = [re.findall(r'process_top1: ([\d.]+)', run.output()) for run in (one, two)]
    assert len(scores[0]) == 4 and scores[0] == scores[1]  # 9 images on 2 processes, each counted once
