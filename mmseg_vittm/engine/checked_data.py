"""Every dataloader of a Runner on checked data, whatever its config."""
import copy

from mmengine.config import Config
from mmengine.runner import Runner

from ..datasets.listing import SKIP_OPTIONS
from .hooks.left_out_hook import LeftOutHook

SPLITS = ('train', 'val', 'test')


def use_checked_data(runner: Runner) -> None:
    """Wraps the dataset of each dataloader that a Runner has yet to build in a `CheckedDataset`.

    Its options `bad_data` and `max_skipped` are taken out of the dataset's config. The Runner's config stays as it is.
    """
    skips = False
    for split in SPLITS:
        loader = copy.deepcopy(getattr(runner, f'_{split}_dataloader'))
        if not isinstance(loader, dict) or not isinstance(loader.get('dataset'), dict):
            continue
        loader['dataset'] = checked(loader['dataset'])
        loader['dataset'].setdefault('test_mode', split != 'train')
        loader['dataset'].setdefault('num_classes', num_classes(runner.cfg))
        setattr(runner, f'_{split}_dataloader', loader)
        skips = skips or split != 'train' and loader['dataset'].get('bad_data') == 'skip'
    if skips:
        runner.register_hook(LeftOutHook())


def checked(dataset: dict) -> dict:
    """Returns the config of a dataset in a `CheckedDataset`, with its options of bad data; it stays as it is."""
    dataset = copy.deepcopy(dataset)
    if str(dataset.get('type')).split('.')[-1] == 'CheckedDataset':
        return dataset
    options = {name: dataset.pop(name) for name in SKIP_OPTIONS if name in dataset}
    return dict(type='mmseg.CheckedDataset', dataset=dataset, **options)


def num_classes(cfg: Config) -> int | None:
    """Returns the number of classes of a config's model, where it says so."""
    model = cfg.get('model')
    if not isinstance(model, dict):
        return None
    head = (model.get('module') or model).get('decode_head') or {}  # `module`: of test-time augmentation
    if isinstance(head, (list, tuple)):
        head = head[-1]
    return head.get('num_classes') if isinstance(head, dict) else None
