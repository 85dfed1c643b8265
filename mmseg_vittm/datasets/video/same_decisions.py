"""One augmentation for all frames of a clip: MMSegmentation's transforms, unchanged, with the same random decisions."""
import contextlib
import functools
import inspect
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose


def random_state() -> tuple:
    """Returns the state of the CPU's generators: Python's, NumPy's global one and torch's."""
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def set_random_state(state: tuple) -> None:
    """Sets the CPU's generators to a state of `random_state`."""
    python, numpy, cpu = state
    random.setstate(python)
    np.random.set_state(numpy)
    torch.set_rng_state(cpu)


def apply_alike(step: Callable[[dict], dict | None], frames: Sequence[dict]) -> list[dict | None]:
    """Runs a transform on every frame of a clip with the random decisions of the first frame.

    Every frame begins with the same random numbers. What mmcv marks by `cache_randomness`, such as the box of
    `RandomCrop`, which looks at the labels, is decided by the first frame and taken again in the others, inside other
    transforms (`RandomApply`, ...) too. mmcv's own `cache_random_params` does that as well, but leaves the numbers
    that are drawn beside those decisions shifted from frame to frame.

    Args:
        step: The transform.
        frames: What it gets, a dict per frame.

    Returns:
        What it returns for each frame. The generators are left as after the first frame.
    """
    before, after, done = random_state(), None, []
    with _decisions(step) as next_frame:
        for frame in frames:
            set_random_state(before)
            next_frame()
            done.append(step(frame))
            after = after or random_state()
    set_random_state(after or before)
    return done


@contextlib.contextmanager
def _decisions(step: Any) -> Iterator[Callable[[], None]]:
    """Has the marked methods of a transform, and of those in it, repeat what they return the first frame.

    Yields:
        What is to be called before every frame.
    """
    marked = [(node, name) for node in _transforms_in(step) for name in getattr(node, '_methods_with_randomness', ())
              if inspect.getattr_static(node, name, None) is not None]  # mmcv lists those of derived classes too
    repeated = []
    for node, name in marked:
        repeated.append(_Repeated(getattr(node, name)))
        setattr(node, name, repeated[-1])

    def next_frame() -> None:
        for each in repeated:
            each.calls = 0
    try:
        yield next_frame
    finally:
        for node, name in marked:
            delattr(node, name)


class _Repeated:
    """A method that returns, from the second frame on, what it returned in the first, as often as it was called there.

    It leaves the generators as it did then.
    """

    def __init__(self, method: Callable):
        self.method, self.taken, self.calls = method, [], 0
        functools.update_wrapper(self, method)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.calls == len(self.taken):
            self.taken.append((self.method(*args, **kwargs), random_state()))
        decision, state = self.taken[self.calls]
        self.calls += 1
        set_random_state(state)
        return decision


def _transforms_in(node: Any) -> Iterator[BaseTransform]:
    """Yields a transform and all that it holds, each once."""
    waiting, seen = [node], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, (list, tuple)):
            waiting.extend(one)
        elif isinstance(one, (BaseTransform, Compose)) and id(one) not in seen:
            seen.add(id(one))
            waiting.extend(vars(one).values())
            if isinstance(one, BaseTransform):
                yield one
