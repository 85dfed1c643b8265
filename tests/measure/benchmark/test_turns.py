"""Several subjects in turns."""
import itertools
from types import SimpleNamespace

import torch

from mmseg_vittm.measure.benchmark.turns import run_in_turns, warmup_items


class FakeSubject:
    """Notes when it runs; items have one of two sizes, by turns."""

    def __init__(self, name, order, compiled=False):
        self.path, self.order, self.settings = name, order, SimpleNamespace(compile=compiled)

    def prepare(self, index):
        return torch.zeros(index % 2 + 1), None

    def run(self, index, keep):
        self.order.append((self.path, index, keep))


def test_turns():
    order, seen = [], []
    subjects = [FakeSubject(name, order) for name in 'abc']
    run_in_turns(subjects, images=20, warmup=1, repeat=2, progress=lambda *step: seen.append(step))
    rounds = [order[first:first + 3] for first in range(0, 123, 3)]
    assert [sorted(turn) for turn in rounds] == [[(name, item, keep) for name in 'abc'] for item, keep in (
        (0, False), *((item, True) for item in [*range(20), *range(20)]))]
    assert len(order) == 123
    assert seen == [(i + 1, 123, 'warming up' if i < 3 else 'measuring') for i in range(123)]
    after = [(one[0], other[0]) for one, other in itertools.pairwise(order)]
    assert min(after.count(two) for two in itertools.permutations('abc', 2)) > 5  # everyone runs after everyone


def test_compilation_warms_up_on_every_size():
    subjects = [FakeSubject('a', [], compiled=True)]
    seen = []
    assert warmup_items(subjects, 1, 6, lambda *step: seen.append(step)) == [0, 1, 1]
    assert seen[-1] == (6, 6, 'looking at sizes')
    assert warmup_items([FakeSubject('a', [])], 1, 6, None) == [0]
