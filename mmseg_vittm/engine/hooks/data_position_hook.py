"""DataPositionHook: an iteration's training data are the same ones in a resumed run."""
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from ...errors import InputError
from ..state.data_position import PositionedIterator, RestOfEpoch, begin_at, has_stream
from ..state.training_state import POSITION


@HOOKS.register_module()
class DataPositionHook(Hook):
    """Makes an iteration's training data depend on nothing but the seed and its number; see `engine.data_position`.

    Takes the place of the DataLoader of any `IterBasedTrainLoop` whose sampler is `InfiniteSampler` or
    `DefaultSampler`. Checkpoints hold the seed and the number of samples seen, so that a resumed run goes on there
    without loading what came before, with another number of processes too.
    """

    def __init__(self):
        self._loaded: dict = {}
        self._seed: int | None = None
        self._begin = 0, 0  # iteration, number of its first sample

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the position that a checkpoint holds, or, where mmengine alone wrote it, the seed."""
        self._loaded = dict(checkpoint.get(POSITION) or {})
        seed = checkpoint.get('meta', {}).get('seed')
        if seed is not None:
            self._loaded.setdefault('seed', int(seed))

    def before_train(self, runner: Runner) -> None:
        """Replaces the training loop's iterator.

        Raises:
            InputError: The data set is empty.
        """
        loop, loader = runner.train_loop, runner.train_dataloader
        if not (isinstance(loop, IterBasedTrainLoop) and has_stream(loader)):
            runner.logger.warning('A resumed run will not see exactly the data of an uninterrupted one: '
                                  'DataPositionHook needs IterBasedTrainLoop, and InfiniteSampler without a '
                                  'batch_sampler')
            return
        if len(loader.dataset) == 0:
            raise InputError('train_dataloader: the data set is empty; check its data_root and data_prefix')
        resumed = self._loaded if runner.iter else {}
        self._seed = resumed.get('seed', loader.sampler.seed)
        self._begin = runner.iter, resumed.get('samples', runner.iter * _total_batch(loader))
        # Upstream's iterator is under way already: its workers end with it.
        loop.dataloader_iterator = loader._iterator = None
        skips = not getattr(loop, 'fast_forward_on_resume', False)
        loop.dataloader_iterator = PositionedIterator(begin_at(loader, self._seed, self._begin[1]),
                                                      runner.iter if skips else 0)

    def before_train_epoch(self, runner: Runner) -> None:
        """Goes on within an epoch of an `EpochBasedTrainLoop`, where a run was stopped there."""
        loop = runner.train_loop
        if isinstance(loop, EpochBasedTrainLoop) and isinstance(loop.dataloader, DataLoader):
            done = runner.iter - runner.epoch * len(loop.dataloader)
            if 0 < done < len(loop.dataloader):
                loop.dataloader = RestOfEpoch(loop.dataloader, done)

    def after_train_epoch(self, runner: Runner) -> None:
        """Has the next epoch whole."""
        if isinstance(runner.train_loop.dataloader, RestOfEpoch):
            runner.train_loop.dataloader = runner.train_loop.dataloader.whole

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the position to a checkpoint."""
        if self._seed is not None:
            iteration, samples = self._begin
            done = checkpoint['meta']['iter'] - iteration
            checkpoint[POSITION] = dict(seed=self._seed, samples=samples + done * _total_batch(runner.train_dataloader))


def _total_batch(loader: DataLoader) -> int:
    return loader.batch_size * get_world_size()
