"""LastValidationHook: a run killed in its last validation is validated when it is resumed."""
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import IterBasedTrainLoop, Runner


@HOOKS.register_module()
class LastValidationHook(Hook):
    """Validates a run that is resumed after its last iteration; mmengine would end it without a score."""
    priority = 'LOWEST'

    def before_train_epoch(self, runner: Runner) -> None:
        """Validates where no iteration is left."""
        if (isinstance(runner.train_loop, IterBasedTrainLoop) and runner.iter >= runner.max_iters
                and runner.val_loop is not None):
            runner.val_loop.run()
