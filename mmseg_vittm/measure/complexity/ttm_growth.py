"""What a step costs as a video gets longer: the Token Turing Machine and an LSTM beside attention over all the past."""
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from .ttm_models import LSTMStep
from .ttm_table import DIMS, LAYERS, MEMORY, MLP, PROCESS, Step, causal, gflops, machine

TOKENS = 16  # of a frame
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


@dataclass(frozen=True)
class Growth:
    """What one model's steps cost.

    Attributes:
        name: The model.
        steps: Numbers of steps, from 1 on.
        gflops: Of each of these steps, 1e9 multiply-adds.
        grows: Whether a step's cost depends on how many there were before.
    """
    name: str
    steps: tuple[int, ...]
    gflops: tuple[float, ...]
    grows: bool


def count_growth(steps: Sequence[int] = STEPS) -> list[Growth]:
    """Counts steps of TTM, LSTM and causal attention over the whole past, 16 tokens of width 768 a step.

    The state of TTM and LSTM has the same shape at every step, so that one of their steps is counted. Of causal
    attention each step is counted, with 16 earlier tokens for each step before.

    Args:
        steps: Numbers of steps.
    """
    found = []
    for name, build in (('TTM-Transformer', partial(machine, 'transformer')), ('TTM-Mixer', partial(machine, 'mixer')),
                        ('LSTM', partial(LSTMStep, DIMS, TOKENS, MLP))):
        cost = gflops(Step(name, None, None, TOKENS, build))
        found.append(Growth(name, tuple(steps), (cost, ) * len(steps), grows=False))
    for name, cached in (('causal attention, keys kept', True), ('causal attention, keys made anew', False)):
        costs = [gflops(Step(name, None, None, TOKENS, partial(causal, TOKENS * (step - 1), cached=cached)))
                 for step in steps]
        found.append(Growth(name, tuple(steps), tuple(costs), grows=True))
    return found


def growth_records(growths: Sequence[Growth]) -> list[dict]:
    """Returns a record of each model."""
    return [dict(table='ttm growth', row=one.name, tokens_per_step=TOKENS, steps=list(one.steps),
                 gflops=list(one.gflops)) for one in growths]


def growth_note() -> str:
    """Returns the footnote on what was counted."""
    return (f'Counted on models as built: {TOKENS} tokens of width {DIMS} a step, {LAYERS} layers, MLPs of {MLP}, TTM '
            f'with {MEMORY} memory and {PROCESS} process tokens. Causal attention: over all the past, keys and values '
            'either kept or projected anew at each step. GFLOPs are 1e9 multiply-adds of all matrix products.')
