"""The cost table of the Token Turing Machine's slides, rebuilt: GFLOPs per step of models that are built and counted.

Charades, tokens 768 wide. The slides print GFLOPs and mAP and say what each row is in a few words; where they leave a
model's structure open, `inferred` says what was taken, and `READINGS` counts what else it could be.
"""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from rich.table import Table
from torch import nn

from ...ttm import TokenTuringMachine
from ..records import number
from .counting import fvcore_multiply_adds, multiply_adds
from .ttm_models import CausalStep, LSTMStep, MachineStep, WindowStep, on_meta

DIMS, MEMORY, PROCESS, LAYERS, HEADS, MLP = 768, 96, 16, 4, 12, 512
STEPS = 6  # of the windows: 96 tokens are 6 steps of 16
VIVIT_ALONE = 23.18  # mAP
KEYS = 'gflops', 'gflops_fvcore'


@dataclass(frozen=True)
class Step:
    """A row of the slides' table as a model of one step.

    Attributes:
        name: The row, in the slides' words.
        gflops: The slides'; None for other readings of a row.
        map_percent: The slides' mAP on Charades.
        num_tokens: Tokens N that come in at a step.
        build: Makes the model.
        inferred: What the slides leave open.
    """
    name: str
    gflops: float | None
    map_percent: float | None
    num_tokens: int
    build: Callable[[], nn.Module]
    inferred: str = ''

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the model's input."""
        return 1, self.num_tokens, DIMS


def machine(process_unit: str) -> MachineStep:
    """Returns a step of TTM-Transformer or TTM-Mixer as on the slides."""
    return MachineStep(TokenTuringMachine(DIMS, MEMORY, PROCESS, 'summary', process_unit, LAYERS, MLP, HEADS))


def causal(num_past: int, mlp_dims: int = MLP, cached: bool = True) -> CausalStep:
    """Returns a step of a causal transformer over so many earlier tokens."""
    return CausalStep(DIMS, LAYERS, HEADS, mlp_dims, num_past, cached)


def window(num_tokens: int, num_kept: int) -> WindowStep:
    """Returns a step of a transformer over kept and new tokens, all computed anew."""
    return WindowStep(DIMS, LAYERS, HEADS, MLP, num_tokens, num_kept)


FOUR_LAYERS = 'process unit of 4 layers, MLPs of 512'
A_WINDOW = (f'{LAYERS} layers over a window of {STEPS} steps of which the last is new; keys and values of all its '
            'tokens projected anew at each step, no MLP')
ROWS = (
    Step('TTM-Mixer, N = 16', 0.089, 25.83, 16, partial(machine, 'mixer'), FOUR_LAYERS),
    Step('TTM-Transformer, N = 16', 0.228, 26.24, 16, partial(machine, 'transformer'), FOUR_LAYERS),
    Step('TTM-Mixer, N = 3136', 0.704, 26.14, 3136, partial(machine, 'mixer'), FOUR_LAYERS),
    Step('TTM-Transformer, N = 3136', 0.842, 26.34, 3136, partial(machine, 'transformer'), FOUR_LAYERS),
    Step('LSTM', 0.107, 23.96, 16, partial(LSTMStep, DIMS, 16, MLP),
         'a state for each of 16 tokens, a projection in and one out, an MLP of 512'),
    Step('causal transformer, 96 tokens', 0.523, 25.85, 16, partial(causal, 80, 0, cached=False), A_WINDOW),
    Step('causal transformer, 3360 tokens', 29.695, 25.88, 560, partial(causal, 2800, 0, cached=False), A_WINDOW),
    Step('temporal transformer', 1.269, 25.61, 16, partial(window, 16, 80),
         '4 layers over 96 tokens, all computed anew at each step'),
    Step('recurrent transformer, 16 + 16 tokens', 0.410, 25.97, 16, partial(window, 16, 16), '4 layers'),
)
READINGS = (
    Step('LSTM alone, a state for each of 16 tokens', None, None, 16, partial(LSTMStep, DIMS, 16, 0)),
    Step('LSTM alone, of one pooled token', None, None, 1, partial(LSTMStep, DIMS, 1, 0)),
    Step('causal, 96 tokens, with MLPs of 512', None, None, 16, partial(causal, 80, cached=False)),
    Step('causal, 96 tokens, with MLPs, keys and values kept', None, None, 16, partial(causal, 80)),
    Step('causal, 3360 tokens, with MLPs of 512', None, None, 560, partial(causal, 2800, cached=False)),
    Step('causal, 3360 tokens, with MLPs, keys and values kept', None, None, 560, partial(causal, 2800)),
    Step('causal, 3360 tokens of which 16 are new, with MLPs, kept', None, None, 16, partial(causal, 3344)),
    Step('all 3360 tokens anew at each step, as in the temporal transformer', None, None, 16,
         partial(window, 16, 3344)),
)


def gflops(step: Step) -> float:
    """Returns the GFLOPs of a step, 1e9 multiply-adds of all its matrix products."""
    return multiply_adds(on_meta(step.build), step.shape)[0] / 1e9


def rebuild_steps() -> list[dict]:
    """Returns the records of the table's rows, and of other readings of them, these without the slides' figures.

    `gflops` are 1e9 multiply-adds of all matrix products, `gflops_fvcore` add norms as fvcore counts them (None of
    other readings).
    """
    records = []
    for step in (*ROWS, *READINGS):
        model, with_norms = on_meta(step.build).requires_grad_(False), None
        if step.gflops is not None:
            with_norms = fvcore_multiply_adds(model, step.shape, attention=True) / 1e9
        records.append(dict(
            table='ttm', row=step.name, tokens_per_step=step.num_tokens, gflops=gflops(step),
            gflops_fvcore=with_norms, gflops_slides=step.gflops, map_slides=step.map_percent, inferred=step.inferred,
            params_m=sum(weight.numel() for weight in model.parameters()) / 1e6))
    return records


def steps_table(records: Sequence[dict]) -> Table:
    """Returns a table of the slides' rows, ours beside theirs."""
    table = Table(title="Token Turing Machines, the slides' table: cost of a step", title_justify='left')
    table.add_column('row')
    for title in ('M params', 'slides', 'GFLOPs', '', 'with norms', '', 'mAP, slides'):  # differences under ''
        table.add_column(title, justify='right', no_wrap=True)
    for row in _of_slides(records):
        ours = [text for key in KEYS for text in (f'{row[key]:.3f}', _percent(difference(row, key)))]
        table.add_row(row['row'], number(row['params_m']), f'{row["gflops_slides"]:.3f}', *ours,
                      f'{row["map_slides"]:.2f}')
    return table


def difference(record: dict, key: str = 'gflops') -> float:
    """Returns by what share of the slides' figure one of ours is larger."""
    return record[key] / record['gflops_slides'] - 1


def notes(records: Sequence[dict]) -> list[str]:
    """Returns what stands under the table: how it was counted, what was inferred, and other readings."""
    rows = _of_slides(records)
    largest = [100 * max(abs(difference(row, key)) for row in rows) for key in KEYS]
    inferred: dict[str, list[str]] = {}
    for row in rows:
        inferred.setdefault(row['inferred'], []).append(row['row'])
    return [f'GFLOPs are 1e9 multiply-adds of every matrix product of one step; with norms, as fvcore counts those, 5 '
            f'per element. The largest differences are {largest[0]:.1f}% without and {largest[1]:.1f}% with them. '
            f'Tokens are {DIMS} wide, m = {MEMORY}, r = {PROCESS}, {HEADS} heads. The mAP on Charades is what the '
            f'slides print, not measured here; ViViT alone has {VIVIT_ALONE:.2f}.',
            'The slides leave structures open; what reproduces their figures was taken, which proves no structure:',
            *(f'- {", ".join(names)}: {what}' for what, names in inferred.items()),
            'Other readings, counted alike:',
            *(f'- {row["row"]}: {row["gflops"]:.3f}' for row in records if row['gflops_slides'] is None)]


def _of_slides(records: Sequence[dict]) -> list[dict]:
    return [row for row in records if row['gflops_slides'] is not None]


def _percent(share: float) -> str:
    return f'{round(100 * share, 1) + 0.0:+.1f}%'  # + 0.0, lest there is a -0.0%
