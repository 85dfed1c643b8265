"""Speed of a stream: frames a second, and how long a frame waits for its result; in constant memory."""
import math
from bisect import bisect_left, bisect_right
from collections import deque
from itertools import accumulate

SHORTEST, LONGEST, STEP = 1e-5, 1e5, 1.02  # seconds; a quantile is within one per cent
EDGES = [SHORTEST * STEP**n for n in range(math.ceil(math.log(LONGEST / SHORTEST, STEP)) + 1)]
RECENT = 300  # frames


class Histogram:
    """How often durations came up, by bins of a width of two per cent; its size does not depend on how many there were.

    Attributes:
        count: How many durations there were.
    """

    def __init__(self):
        self.count, self._bins = 0, [0] * (len(EDGES) + 1)

    def add(self, seconds: float) -> None:
        """Adds a duration."""
        self.count += 1
        self._bins[bisect_right(EDGES, seconds)] += 1

    def quantile(self, share: float) -> float | None:
        """Returns the duration, in seconds, that a share of all do not exceed; None where there are none.

        Args:
            share: 0 to 1.
        """
        if not self.count:
            return None
        wanted = max(1, math.ceil(share * self.count))
        number = bisect_left(list(accumulate(self._bins)), wanted)
        low, high = EDGES[max(number - 1, 0)], EDGES[min(number, len(EDGES) - 1)]
        return math.sqrt(low * high)


class Speed:
    """Frames a second and latency of a run, over all of it and of late.

    Attributes:
        latency: Of all frames, from arrival to result.
        first: When the first frame arrived, in seconds of the clock; None before.
        last: When the last result was there.
    """

    def __init__(self):
        self.latency, self.first, self.last = Histogram(), None, None
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT)

    def add(self, arrived: float, done: float) -> None:
        """Adds a frame: when it arrived and when its result was there, in seconds."""
        self.first = arrived if self.first is None else self.first
        self.last = done
        self.latency.add(done - arrived)
        self._recent.append((done, done - arrived))

    @property
    def fps(self) -> float | None:
        """Frames a second, from the first frame's arrival to the last result."""
        return self.latency.count / max(self.last - self.first, SHORTEST) if self.latency.count else None

    @property
    def seconds(self) -> float:
        """Seconds from the first frame's arrival to the last result."""
        return self.last - self.first if self.latency.count else 0.0

    def of_late(self) -> tuple[float, float, float] | None:
        """Returns frames a second and the latency's median and 95 % quantile, in seconds, of the last `RECENT` frames.

        None where there are fewer than two.
        """
        if len(self._recent) < 2:
            return None
        waits = sorted(wait for _, wait in self._recent)
        took = max(self._recent[-1][0] - self._recent[0][0], SHORTEST)
        return (len(waits) - 1) / took, waits[(len(waits) - 1) // 2], waits[math.ceil(0.95 * len(waits)) - 1]
