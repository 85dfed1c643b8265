"""SameClassesHook: a classifier is trained on and scored by the classes that its checkpoint has."""
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ...classification.classes import NUMBERED, difference
from ...errors import InputError


@HOOKS.register_module()
class SameClassesHook(Hook):
    """Refuses data whose classes are not those of the checkpoint, of the same names in the same order.

    Their labels would mean something else. A run that only begins from weights, by `init_cfg`, may have any classes,
    and so may one that loads in part.
    """

    def __init__(self):
        self._trained: dict = {}
        self._path = ''

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the classes of a checkpoint."""
        self._trained = checkpoint.get('meta', {}).get('dataset_meta') or {}
        self._path = str(runner._load_from or 'the checkpoint')

    def before_train_epoch(self, runner: Runner) -> None:
        """Compares those of the training data.

        Raises:
            InputError: They are others.
        """
        self._check(runner.train_dataloader.dataset, 'train_dataloader', runner.allow_partial)

    def before_test_epoch(self, runner: Runner) -> None:
        """Compares those of the test data.

        Raises:
            InputError: They are others.
        """
        self._check(runner.test_dataloader.dataset, 'test_dataloader', runner.allow_partial)

    def _check(self, dataset: object, loader: str, partial: bool) -> None:
        metas = getattr(dataset, 'metainfo', {}), self._trained
        classes, trained = (meta.get('classes') for meta in metas)
        found = not partial and classes and trained and difference(
            classes, trained, loader, self._path, any(meta.get(NUMBERED) for meta in metas))
        if found:
            raise InputError(f'{found}; give the data that it was trained on, or that classes in the same order '
                             '(data_root=DIR, the setting dataset.classes)')
