"""Several segmentors in one run, image by image in turns, so that ratios survive a noisy machine."""
import random
from collections.abc import Callable, Sequence

from .subject import Subject


def warmup_items(subjects: Sequence[Subject], warmup: int, images: int,
                 progress: Callable[[int, int, str], None]) -> list[int]:
    """Returns the items to warm up on: the first ones, and with compilation one of every size on top."""
    items = list(range(warmup))
    if any(subject.settings.compile for subject in subjects):
        first = {}
        for item in range(images):
            for subject in subjects:
                inputs, _ = subject.prepare(item)
                first.setdefault((id(subject), inputs.shape), item)
            progress(item + 1, images, 'looking at sizes')
        items += sorted(set(first.values()) - set(items)) * 2
    return items


def run_in_turns(subjects: Sequence[Subject], images: int, warmup: int, repeat: int,
                 progress: Callable[[int, int, str], None]) -> None:
    """Runs every subject on every item, in turns, `repeat` times; the calls stay with the subjects.

    Their order is shuffled from item to item (seeded), so that nobody always runs after the same other.

    Args:
        subjects: The segmentors.
        images: Items 0 to `images` - 1 are measured.
        warmup: Items run before that without being kept.
        repeat: Rounds over all items.
        progress: Called after every call with the calls done, the calls in all, and what is going on.
    """
    before = warmup_items(subjects, warmup, images, progress)
    steps = [(item, False) for item in before] + [(item, True) for item in range(images)] * repeat
    total, done = len(steps) * len(subjects), 0
    for number, (item, keep) in enumerate(steps):
        for subject in random.Random(number).sample(subjects, len(subjects)):
            subject.run(item, keep)
            done += 1
            progress(done, total, 'measuring' if keep else 'warming up')
