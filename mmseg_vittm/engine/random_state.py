"""Random numbers: the state of every generator of a process, and a seed for each sample."""
import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ..errors import one_line

WORDS = 624  # of 32 bits, the state of a Mersenne Twister
LARGEST_STATE = 100_000  # bytes; torch's are 5,056 on the CPU


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
    random.setstate(_of_python(state['python']))
    np.random.set_state(_of_numpy(state['numpy']))
    torch.set_rng_state(state['torch'].cpu())
    if state['cuda'] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


def why_not_restorable(state: Any) -> str | None:
    """Returns why something is no state of `capture`, or None where it is one; sets no generator."""
    try:
        words, keys, cuda = state['python']['words'], state['numpy']['keys'], state['cuda']
        for tensor, count in ((words, WORDS + 1), (keys, WORDS), (state['torch'], None), (cuda, None)):
            if tensor is None and tensor is cuda:
                continue
            if not isinstance(tensor, torch.Tensor) or tensor.dim() != 1 or tensor.numel() > LARGEST_STATE:
                return f'a {type(tensor).__name__} of no generator'
            if count is not None and (tensor.numel() != count or tensor.dtype != torch.int64):
                return f'{tensor.numel()} words of {tensor.dtype}, not {count}'
            if tensor.dtype == torch.int64 and not 0 <= int(tensor.min()) <= int(tensor.max()) < 2**32:
                return 'words of more than 32 bits'
        if not 0 <= state['numpy']['position'] <= WORDS:  # NumPy itself would read beyond its memory
            return f"a position of {state['numpy']['position']}"
        if not isinstance(state['python']['gauss'], (float, type(None))):
            return f"a gauss of {type(state['python']['gauss']).__name__}"
        if cuda is not None and cuda.dtype != torch.uint8:
            return f'bytes of {cuda.dtype}'
        random.Random().setstate(_of_python(state['python']))
        np.random.RandomState().set_state(_of_numpy(state['numpy']))
        torch.Generator().set_state(state['torch'].cpu())
    except (AttributeError, IndexError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        return one_line(error)
    return None


def _of_python(state: dict) -> tuple:
    return state['version'], tuple(state['words'].tolist()), state['gauss']


def _of_numpy(state: dict) -> tuple:
    keys = state['keys'].cpu().numpy().astype(np.uint32)
    return 'MT19937', keys, state['position'], state['has_gauss'], state['cached']


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
