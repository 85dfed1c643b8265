"""BoundedQueue: what one thread hands to the next; where it is full, the giver waits or the oldest is dropped."""
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

POLL = 0.1  # seconds after which who waits looks whether to go on


class BoundedQueue:
    """Items on their way from one thread to another, in order, never more than some.

    Args:
        most: How many items it holds.
        drops: Whether the oldest item makes room where it is full; else who puts one waits.
        most_bytes: How many bytes of items it holds; a single item may be larger.

    Attributes:
        taken_in: How many items were put.
        dropped: How many of them were dropped.
        fullest: How many it held at most.
    """

    def __init__(self, most: int, drops: bool = False, most_bytes: int = 1 << 28):
        self.most, self.drops, self.most_bytes = most, drops, most_bytes
        self.taken_in = self.dropped = self.fullest = 0
        self._items: deque[tuple[Any, int]] = deque()
        self._bytes, self._is_ended, self._is_cancelled = 0, False, False
        self._changed = threading.Condition()

    def put(self, item: Any, size: int = 0) -> bool:
        """Puts an item at the end.

        Args:
            item: The item.
            size: Its bytes.

        Returns:
            Whether it was; not where nobody wants items any more.
        """
        with self._changed:
            while not self._is_cancelled and self._is_full(size):
                if self.drops:
                    self._pop()
                    self.dropped += 1
                else:
                    self._changed.wait(POLL)
            if self._is_cancelled:
                return False
            self._items.append((item, size))
            self._bytes += size
            self.taken_in += 1
            self.fullest = max(self.fullest, len(self._items))
            self._changed.notify_all()
            return True

    def take(self, is_over: Callable[[], bool] = lambda: False) -> Any:
        """Returns the first item, and waits for it; None at the end.

        Args:
            is_over: Asked while it waits, and before; where it says so, None is returned.
        """
        with self._changed:
            while not (self._items or self._is_ended or self._is_cancelled or is_over()):
                self._changed.wait(POLL)
            if self._is_cancelled or is_over() or not self._items:
                return None
            item = self._pop()
            self._changed.notify_all()
            return item

    def __iter__(self) -> Iterator:
        while (item := self.take()) is not None:
            yield item

    def __len__(self) -> int:
        return len(self._items)

    def end(self) -> None:
        """Says that no more items come; those that are there can still be taken."""
        with self._changed:
            self._is_ended = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Says that nobody wants items any more; those that are there are gone."""
        with self._changed:
            self._is_cancelled = True
            self._items.clear()
            self._changed.notify_all()

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants items any more."""
        return self._is_cancelled

    def _is_full(self, size: int) -> bool:
        return bool(self._items) and (len(self._items) >= self.most or self._bytes + size > self.most_bytes)

    def _pop(self) -> Any:
        item, size = self._items.popleft()
        self._bytes -= size
        return item
