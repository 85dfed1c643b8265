"""Random numbers that a resumed run draws as the uninterrupted one does: their state, and a seed for each sample."""
import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

STATES = 'random_states'  # of all processes, in a checkpoint


def capture() -> dict:
    """Returns the state of every generator of this process, as tensors and numbers alone.

    The generators: Python's, NumPy's global one, torch's on the CPU and on the current GPU.
    """
    version, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state()
    gpu = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return dict(
        python=dict(version=version, words=torch.tensor(words), gauss=gauss),
        numpy=dict(keys=torch.from_numpy(keys.astype(np.int64)), position=int(position), has_gauss=int(has_gauss),
                   cached=float(cached)),
        torch=torch.get_rng_state(),
        cuda=gpu)


def restore(state: dict) -> None:
    """Sets every generator of this process to a state of `capture`, the GPU's if there is one in it and here."""
    python, numpy = state['python'], state['numpy']
    random.setstate((python['version'], tuple(python['words'].tolist()), python['gauss']))
    np.random.set_state(('MT19937', numpy['keys'].cpu().numpy().astype(np.uint32), numpy['position'],
                         numpy['has_gauss'], numpy['cached']))
    torch.set_rng_state(state['torch'].cpu())
    if state['cuda'] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextlib.contextmanager
def seeded(*seeds: int) -> Iterator[None]:
    """Seeds the CPU's generators for what runs inside, and puts them back as they were.

    Args:
        *seeds: Non-negative numbers that together decide the random numbers inside.
    """
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    words = np.random.SeedSequence(seeds).generate_state(3)
    try:
        random.seed(int(words[0]))
        np.random.seed(words[1])
        torch.default_generator.manual_seed(int(words[2]))  # torch.manual_seed would seed GPUs too
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)


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
