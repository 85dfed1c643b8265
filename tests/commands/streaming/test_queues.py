"""BoundedQueue: order, bounds in items and bytes, waiting and dropping, ends."""
import random
import threading

import pytest

from mmseg_vittm.commands.streaming.queues import BoundedQueue


@pytest.mark.parametrize('most', [1, 3])
def test_who_puts_waits(most):
    """Nothing is lost, in order, and there are never more than that, although the giver is far faster."""
    queue, found = BoundedQueue(most), []

    def give():
        for number in range(200):
            assert queue.put(number)
        queue.end()
    giver = threading.Thread(target=give)
    giver.start()
    for item in queue:
        found.append(item)
        assert len(queue) <= most
    giver.join(10)
    assert found == list(range(200)) and queue.fullest == most
    assert (queue.taken_in, queue.dropped) == (200, 0)


def test_the_oldest_is_dropped():
    queue = BoundedQueue(3, drops=True)
    for number in range(10):
        assert queue.put(number)
    queue.end()
    assert list(queue) == [7, 8, 9] and (queue.taken_in, queue.dropped, queue.fullest) == (10, 7, 3)


def test_any_order_of_giving_and_taking():
    """Against a list, with bytes."""
    chance = random.Random(0)
    for _ in range(50):
        most, most_bytes = chance.randint(1, 4), chance.randint(1, 20)
        queue, model, dropped = BoundedQueue(most, drops=True, most_bytes=most_bytes), [], 0
        for number in range(60):
            if chance.random() < 0.6:
                size = chance.randint(0, 25)
                queue.put(number, size)
                while model and (len(model) >= most or sum(other for _, other in model) + size > most_bytes):
                    model.pop(0)
                    dropped += 1
                model.append((number, size))
            elif model:
                assert queue.take() == model.pop(0)[0]
            assert len(queue) == len(model) and queue.dropped == dropped


def test_ends():
    queue = BoundedQueue(2)
    queue.put('a')
    assert queue.take(lambda: True) is None and queue.take() == 'a'
    assert queue.take(lambda: True) is None
    queue.put('b')
    queue.end()
    assert queue.take() == 'b' and queue.take() is None and not queue.is_cancelled
    queue = BoundedQueue(1)
    queue.put('a')
    threading.Timer(0.05, queue.cancel).start()
    assert queue.put('b') is False and queue.take() is None and queue.is_cancelled and len(queue) == 0
    assert queue.put('c') is False


def test_who_takes_is_woken():
    queue = BoundedQueue(1)
    threading.Timer(0.05, queue.put, ['late']).start()
    assert queue.take() == 'late'
    threading.Timer(0.05, queue.end).start()
    assert queue.take() is None
