"""What a checkpoint says of its run beside the weights, checked before a run goes on from it."""
from typing import Any

from ...errors import shown
from ..random_state import why_not_restorable

STATES, POSITION = 'random_states', 'data_position'  # in a checkpoint
LARGEST = 2**63 - 1
MOST_ITERATIONS = 10**8  # years of training
# Samples of an iteration, all processes together: more is a damaged number, and would take minutes to skip.
MOST_SAMPLES = 65536


def fault_of_training_state(checkpoint: dict) -> str | None:
    """Returns what is wrong with the iteration, the random states or the data position of a checkpoint, or None.

    What mmengine alone wrote has neither random states nor a position, which is no fault.
    """
    meta = checkpoint.get('meta')
    if not isinstance(meta, dict):
        return f'meta is {kind(meta)}, not a dict'
    for name in ('iter', 'epoch'):
        if not is_count(meta.get(name)) or meta[name] > MOST_ITERATIONS:
            return f'meta.{name} is {kind(meta.get(name))}, not a number of {name}s done'
    if meta.get('seed') is not None and not is_count(meta['seed']):
        return f'meta.seed is {kind(meta["seed"])}, not a seed'
    return _fault_of_position(checkpoint, meta['iter']) or _fault_of_states(checkpoint)


def _fault_of_position(checkpoint: dict, iterations: int) -> str | None:
    if POSITION not in checkpoint:
        return None
    position = checkpoint[POSITION]
    if not isinstance(position, dict):
        return f'{POSITION} is {kind(position)}, not a dict of seed and samples'
    for name in ('seed', 'samples'):
        if not is_count(position.get(name)):
            return f'{POSITION}.{name} is {kind(position.get(name))}, not a number from 0 on'
    if position['samples'] > MOST_SAMPLES * iterations:
        return (f'{POSITION}.samples is {position["samples"]}, which {iterations} iterations do not read: more than '
                f'{MOST_SAMPLES} each')
    return None


def _fault_of_states(checkpoint: dict) -> str | None:
    if STATES not in checkpoint:
        return None
    states = checkpoint[STATES]
    if not isinstance(states, (list, tuple)) or not states:
        return f'{STATES} is {kind(states)}, not a list with the state of each process'
    for rank, state in enumerate(states):
        reason = why_not_restorable(state)
        if reason is not None:
            return f'{STATES}[{rank}] is no random state ({shown(reason)})'
    return None


def is_count(value: Any) -> bool:
    """Returns whether a value is a whole number from 0 on, of at most 63 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def kind(value: Any) -> str:
    """Returns a value as a message shows it: a number itself, anything else by its type."""
    if value is None:
        return 'missing'
    if isinstance(value, float) or isinstance(value, int) and abs(value) <= LARGEST:
        return repr(value)
    return f'a {type(value).__name__}'
