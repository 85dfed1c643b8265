"""Every dataloader of a Runner on checked data."""
from types import SimpleNamespace

from bad_files import dataset_config, write_set
from mmengine.config import Config
from mmseg.registry import DATASETS

from mmseg_vittm.datasets import CheckedDataset
from mmseg_vittm.engine.checked_data import use_checked_data


def test_every_dataloader_of_a_runner_is_wrapped(tmp_path, mmseg_scope):
    good = write_set(tmp_path)
    train = dict(dataset=dataset_config(good, bad_data='skip', max_skipped=3))
    val = dict(dataset=dict(type='CheckedDataset', dataset=dataset_config(good), bad_data='skip'))
    hooks, cfg = [], Config(dict(model=dict(decode_head=[dict(num_classes=2), dict(num_classes=3)])))
    runner = SimpleNamespace(_train_dataloader=train, _val_dataloader=val, _test_dataloader=None, cfg=cfg,
                             register_hook=hooks.append)
    use_checked_data(runner)
    wrapped = runner._train_dataloader['dataset']
    assert (wrapped['bad_data'], wrapped['max_skipped'], wrapped['test_mode'], wrapped['num_classes']) == (
        'skip', 3, False, 3)
    assert wrapped['dataset'] == dataset_config(good) and train['dataset']['bad_data'] == 'skip'  # the config is kept
    assert runner._val_dataloader['dataset']['test_mode'] and runner._test_dataloader is None
    assert [type(hook).__name__ for hook in hooks] == ['LeftOutHook']
    assert isinstance(DATASETS.build(wrapped), CheckedDataset)
