"""PlainWeightsHook: a classifier's scores with its weights as they are trained, beside those of their average."""
import copy

import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn

from ...classification.accuracy import TopAccuracy
from ...weights.report import LoadReport
from ...weights.strict import load_weights
from ...weights.whole_model import unwrapped

PREFIX = 'plain'
AVERAGED = 'ema_state_dict'  # mmengine's name in a checkpoint, which holds the plain weights there


@HOOKS.register_module()
class PlainWeightsHook(Hook):
    """Scores the weights that are trained too, wherever an `EMAHook` has their average scored: as `plain/...`.

    Each batch is loaded once and goes through both. A test takes the plain weights from the checkpoint, strictly. Where
    nothing is averaged it does nothing, and the scores are those of the plain weights.
    """
    priority = 'HIGHEST'  # its scores are added before mmengine's hook takes them to the log

    def __init__(self):
        self._plain: nn.Module | None = None
        self._state: dict[str, Tensor] | None = None
        self._path = ''
        self._scores = TopAccuracy(prefix=PREFIX)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the plain weights of a checkpoint to be tested."""
        state = checkpoint.get(AVERAGED)
        self._state = {name.removeprefix('module.'): weight for name, weight in state.items() if name != 'steps'
                       } if isinstance(state, dict) else None
        self._path = str(runner._load_from or 'the checkpoint')

    def before_train(self, runner: Runner) -> None:
        """Forgets those of a checkpoint that a run goes on from."""
        self._state = None

    def before_val_epoch(self, runner: Runner) -> None:
        """Finds the model that has the plain weights: the average's, whose hook exchanges both."""
        hook = next((hook for hook in runner.hooks if isinstance(hook, EMAHook)), None)
        self._begin(None if hook is None else hook.ema_model.module)

    def before_test_epoch(self, runner: Runner) -> None:
        """Makes a model with the plain weights of the checkpoint.

        Raises:
            CheckpointError: They do not fit the model.
        """
        plain = None
        if self._state is not None:
            plain = copy.deepcopy(unwrapped(runner.model))
            load_weights(plain, self._state, LoadReport(self._path, 'its weights before averaging'))
        self._begin(plain)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                       outputs: list | None = None) -> None:
        """Predicts the batch once more."""
        self._predict(data_batch)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                        outputs: list | None = None) -> None:
        """Predicts the batch once more."""
        self._predict(data_batch)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Adds the scores."""
        self._end(len(runner.val_dataloader.dataset), metrics)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Adds the scores."""
        self._end(len(runner.test_dataloader.dataset), metrics)

    def _begin(self, plain: nn.Module | None) -> None:
        self._plain = plain
        self._scores.results.clear()
        if plain is not None:
            plain.eval()

    def _predict(self, data_batch: dict) -> None:
        if self._plain is not None:
            with torch.no_grad():
                self._scores.process(data_batch, self._plain.val_step(data_batch))

    def _end(self, size: int, metrics: dict | None) -> None:
        if self._plain is not None and metrics is not None:
            metrics.update(self._scores.evaluate(size))
        self._plain = None
