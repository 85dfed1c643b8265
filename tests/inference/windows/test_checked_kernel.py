"""The kernel's switch, and its check on the first call: a kernel that is right, one that is wrong, one that fails."""
import threading
import warnings

import pytest
import torch
from windows_example import example

from mmseg_vittm.errors import InputError
from mmseg_vittm.inference.windows import checked_kernel, labels, use_triton
from mmseg_vittm.inference.windows.checked_kernel import SWITCH, CheckedKernel, count_wrong, triton_is_on
from mmseg_vittm.inference.windows.labels import tiled_labels, window_logits


class Kernel:
    """A kernel of the reference's labels, changed by `change`."""

    def __init__(self, change=lambda found, low: found):
        self.change, self.calls = change, 0

    def __call__(self, low, rows, cols):
        self.calls += 1
        return self.change(tiled_labels(low, rows, cols), low)


def failing(found, low):
    raise RuntimeError('no such instruction\non this GPU')


def one_wrong(found, low):
    found[3, 4] = (found[3, 4] + 1) % len(low)
    return found


def assert_given_up(kernel: Kernel, reason: str) -> None:
    """One warning at the first call, and the reference's labels at that and every other."""
    arguments = example(7, 40, 50)
    checked = CheckedKernel(kernel, tiled_labels)
    with pytest.warns(RuntimeWarning, match=reason) as warned:
        assert torch.equal(checked(*arguments), tiled_labels(*arguments))
    assert len(warned) == 1 and checked.given_up
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert torch.equal(checked(*arguments), tiled_labels(*arguments))
    assert kernel.calls == 1


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    yield
    use_triton(None)


def test_off_by_default_and_switched_on(monkeypatch):
    assert not triton_is_on()
    for value, on in (('1', True), ('0', False), ('', False)):
        monkeypatch.setenv(SWITCH, value)
        assert triton_is_on() == on
    use_triton(True)
    assert triton_is_on()
    use_triton(False)
    monkeypatch.setenv(SWITCH, '1')
    assert not triton_is_on()
    use_triton(None)
    assert triton_is_on()
    monkeypatch.setenv(SWITCH, 'yes')
    with pytest.raises(InputError, match="MMSEG_VITTM_TRITON must be 1 or 0, got 'yes'"):
        triton_is_on()


def test_labels_on_a_gpu_come_from_the_kernel_where_it_is_on(monkeypatch):
    """With a tensor that says that it is on a GPU."""
    class OnGPU(torch.Tensor):
        is_cuda = True

    low, rows, cols = example(7, 40, 50)
    monkeypatch.setattr(labels, '_triton_kernel', lambda: lambda *arguments: 'of the kernel')
    assert torch.equal(labels.window_labels(low.as_subclass(OnGPU), rows, cols), tiled_labels(low, rows, cols))
    use_triton(True)
    assert labels.window_labels(low.as_subclass(OnGPU), rows, cols) == 'of the kernel'
    assert torch.equal(labels.window_labels(low, rows, cols), tiled_labels(low, rows, cols))
    monkeypatch.setattr(labels, '_triton_kernel', lambda: None)  # no Triton
    assert torch.equal(labels.window_labels(low.as_subclass(OnGPU), rows, cols), tiled_labels(low, rows, cols))


def test_a_kernel_that_is_right_is_checked_once_per_type(monkeypatch):
    references = []
    kernel = Kernel()
    checked = CheckedKernel(kernel, lambda *arguments: references.append(1) or tiled_labels(*arguments))
    for dtype, checks in ((torch.float32, 1), (torch.float32, 1), (torch.bfloat16, 2), (torch.float32, 2)):
        arguments = example(7, 40, 50, dtype)
        assert torch.equal(checked(*arguments), tiled_labels(*arguments))
        assert len(references) == checks
    assert kernel.calls == 4 and not checked.given_up


@pytest.mark.parametrize('change,reason', [
    (failing, 'RuntimeError: no such instruction on this GPU'), (one_wrong, '1 of 2000 labels are wrong'),
    (lambda found, low: found.T, '2000 of 2000'), (lambda found, low: found - 1, 'of 2000 labels are wrong'),
    (lambda found, low: found + len(low), '2000 of 2000'), (lambda found, low: torch.zeros_like(found), 'are wrong')])
def test_a_kernel_that_is_wrong_or_fails_is_given_up(change, reason):
    assert_given_up(Kernel(change), reason)


def test_a_kernel_that_fails_later_is_given_up():
    arguments, kernel = example(7, 40, 50), Kernel()
    checked = CheckedKernel(kernel, tiled_labels)
    checked(*arguments)
    kernel.change = failing
    with pytest.warns(RuntimeWarning, match='off in this process.*no such instruction'):
        assert torch.equal(checked(*arguments), tiled_labels(*arguments))
    checked(*arguments)
    assert kernel.calls == 2


def test_no_memory_is_no_fault_of_the_kernel():
    def full(found, low):
        raise torch.OutOfMemoryError('2 GiB')

    checked = CheckedKernel(Kernel(full), tiled_labels)
    with pytest.raises(torch.OutOfMemoryError):
        checked(*example(7, 40, 50))
    assert not checked.given_up


def test_ties_are_right_either_way():
    """Where the two largest logits are equal, or nearly, the kernel may take either class."""
    low, rows, cols = example(7, 40, 50)
    top = low.amax(0)
    low[2], low[5] = top + 1, top + 1 + 1e-6
    kernel = Kernel(lambda found, low: torch.where(found == 5, 2, found))
    checked = CheckedKernel(kernel, tiled_labels)
    checked(low, rows, cols)
    assert not checked.given_up
    low[5] += 1e-3
    assert count_wrong(torch.full((40, 50), 2), tiled_labels(low, rows, cols), low, rows, cols) == 2000


def test_logits_that_are_not_finite_wait_for_the_next_call():
    low, rows, cols = example(7, 40, 50)
    kernel = Kernel(one_wrong)
    checked = CheckedKernel(kernel, tiled_labels)
    bad = low.clone()
    bad[1, 2, 3] = float('nan')
    assert torch.equal(checked(bad, rows, cols), tiled_labels(bad, rows, cols)) and kernel.calls == 0
    with pytest.warns(RuntimeWarning, match='1 of 2000'):
        checked(low, rows, cols)


@pytest.mark.parametrize('change', [lambda found, low: found, one_wrong, failing])
def test_threads_check_once(change):
    arguments, kernel = example(7, 40, 50), Kernel(change)
    expected, barrier, found = tiled_labels(*arguments), threading.Barrier(4), []
    checked = CheckedKernel(kernel, tiled_labels)

    def work():
        barrier.wait()
        found.extend(checked(*arguments) for _ in range(5))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter('always')
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    right = not checked.given_up
    assert len(found) == 20 and all(torch.equal(labels, expected) for labels in found)
    assert kernel.calls == (20 if right else 1) and len(warned) == (not right)


def test_the_reference_itself_is_right():
    """What the check takes for wrong, by the readable reference."""
    low, rows, cols = example(19, 94, 144)
    expected = window_logits(low, rows, cols).argmax(0)
    assert count_wrong(tiled_labels(low, rows, cols), expected, low, rows, cols) == 0
    assert count_wrong((expected + 1) % 19, expected, low, rows, cols) == 94 * 144
    assert checked_kernel.AT_ONCE < 94 * 144
