"""Random numbers: the state of every generator of a process, and a seed for each sample."""
import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


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
