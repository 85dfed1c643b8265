"""LastValidationHook: a run stopped in a validation, or killed in its last one, is validated when it is resumed."""
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import IterBasedTrainLoop, Runner

DUE = 'validation_due'  # in a checkpoint


@HOOKS.register_module()
class LastValidationHook(Hook):
    """Validates a run that is resumed after its last iteration; mmengine would end it without a score.

    So it does where the run was stopped within a validation, or before one that was due.

    Attributes:
        due: Whether the iteration done last is to be validated yet, as checkpoints say.
    """
    priority = 'LOWEST'

    def __init__(self):
        self.due = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Takes note of what a checkpoint says."""
        self.due = checkpoint.get(DUE) is True

    def before_train_epoch(self, runner: Runner) -> None:
        """Validates where that is due, and where no iteration is left."""
        due, self.due = self.due and runner.iter > 0, False
        left = not isinstance(runner.train_loop, IterBasedTrainLoop) or runner.iter < runner.max_iters
        if runner.val_loop is not None and (due or not left):
            runner.val_loop.run()

    def after_train(self, runner: Runner) -> None:
        """Validates where that is due, and no epoch was left."""
        if self.due and runner.val_loop is not None:
            self.due = False
            runner.val_loop.run()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Says in a checkpoint that it is due."""
        if self.due and 'optimizer' in checkpoint:
            checkpoint[DUE] = True
