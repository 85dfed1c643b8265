"""LeftOutHook: scores say how many images they leave out."""
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.utils.data import DataLoader


@HOOKS.register_module()
class LeftOutHook(Hook):
    """States with the scores how many images `bad_data='skip'` left out, as `images_left_out`."""
    priority = 'HIGHEST'  # before mmengine's hook that takes the scores to the log

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Adds the number to the scores of a validation, and warns."""
        self._state(runner, runner.val_dataloader, metrics)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Adds the number to the scores of a test, and warns."""
        self._state(runner, runner.test_dataloader, metrics)

    @staticmethod
    def _state(runner: Runner, dataloader: DataLoader, metrics: dict | None) -> None:
        dataset = dataloader.dataset
        left_out = getattr(dataset, 'left_out', [])
        if left_out and metrics is not None:
            metrics['images_left_out'] = len(left_out)
            runner.logger.warning(f'These scores leave out {len(left_out)} of {len(left_out) + len(dataset)} images, '
                                  f'which are bad: {", ".join(left_out)}')
