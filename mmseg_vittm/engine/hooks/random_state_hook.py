"""RandomStateHook: a resumed run draws the random numbers that the uninterrupted one does."""
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..random_state import capture, restore
from ..state.training_state import STATES


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Saves the random state of every process in checkpoints and goes on with it when a run is resumed.

    Validation draws its random numbers beside the training's, so that it makes no difference to a run whether a
    validation came before or after a checkpoint was made.
    """

    def __init__(self):
        self._loaded: list[dict] | None = None
        self._gathered: list[dict] | None = None
        self._training: dict | None = None
        self._begun = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the states of a checkpoint."""
        self._loaded = checkpoint.get(STATES)

    def before_train_epoch(self, runner: Runner) -> None:
        """Goes on with the states of the checkpoint, once everything that draws while a run is set up has drawn."""
        begun, self._begun = self._begun, True
        if begun or runner.iter == 0:
            return
        states, self._loaded = self._loaded, None
        rank, world_size = get_dist_info()
        if states is None or len(states) != world_size:
            runner.logger.warning(
                'The resumed run is not bit for bit the uninterrupted one: the checkpoint holds the random state of '
                f'{len(states or [])} processes, and this run has {world_size}')
        if states is not None and rank < len(states):
            restore(states[rank])

    def before_val(self, runner: Runner) -> None:
        """Keeps the training's state."""
        self._training = capture()

    def after_val(self, runner: Runner) -> None:
        """Goes back to the training's state."""
        restore(self._training)
        self._training = None

    def prepare_checkpoint(self, runner: Runner) -> None:
        """Gathers the states of all processes; `AtomicCheckpointHook` calls it in each."""
        self._gathered = all_gather_object(self._training or capture())

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the states to a checkpoint that a run can be resumed from."""
        if 'optimizer' in checkpoint:
            checkpoint[STATES] = self._gathered or [self._training or capture()]
        self._gathered = None
