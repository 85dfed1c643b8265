"""Whether labels come from the Triton kernel, and the check of the kernel on its first call.

No GPU has run the kernel yet, so it is off. Once `benchmarks/check_triton.py` has passed on a GPU and its output is
recorded, `TRITON_DEFAULT` becomes True; where it is no gain, the kernel goes (GPU.md beside the repository, point 4).
"""
import os
import threading
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from ...errors import InputError, one_line

TRITON_DEFAULT = False
SWITCH = 'MMSEG_VITTM_TRITON'  # environment variable: 1 or 0
ROUNDING = 1e-5  # of the largest logit: float32 sums of the few cells that reach a pixel are closer
AT_ONCE = 1024  # pixels

Labels = Callable[[Tensor, Tensor, Tensor], Tensor]  # (C, Ky, Kx), (H, Ky) and (W, Kx) to (H, W)
_chosen: bool | None = None


def use_triton(on: bool | None) -> None:
    """Switches the Triton kernel of `window_labels` on or off in this process; None leaves it to the environment.

    That is the variable MMSEG_VITTM_TRITON, 1 or 0, and without it `TRITON_DEFAULT`. A kernel that has failed its
    check stays off all the same.
    """
    global _chosen
    _chosen = on


def triton_is_on() -> bool:
    """Whether labels on a GPU come from the Triton kernel.

    Raises:
        InputError: The environment variable is neither 1 nor 0.
    """
    if _chosen is not None:
        return _chosen
    value = os.environ.get(SWITCH, '')
    if value not in ('', '0', '1'):
        raise InputError(f'the environment variable {SWITCH} must be 1 or 0, got {value!r}')
    return value == '1' if value else TRITON_DEFAULT


class CheckedKernel:
    """A kernel for labels that is checked on its first call, and given up where it is wrong or fails.

    The first call of every device and type of logits is compared with the reference: labels must be equal but where
    the largest logits are, to rounding. A kernel that differs, or that raises an error at any call, is not called
    again in this process; one warning says so, and the reference takes its place. Threads may share it.

    Args:
        kernel: Returns the labels (H, W) of logits (C, Ky, Kx) and matrices (H, Ky) and (W, Kx).
        reference: The same, tried and slower.
    """

    def __init__(self, kernel: Labels, reference: Labels):
        self.kernel, self.reference = kernel, reference
        self.given_up = False
        self._passed: set[tuple[torch.device, torch.dtype]] = set()
        self._turn = threading.RLock()

    def __call__(self, low: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """Returns the labels (H, W), int64."""
        kind = low.device, low.dtype
        if not self.given_up and kind not in self._passed:
            with self._turn:
                if not self.given_up and kind not in self._passed:
                    return self._checked(low, rows, cols)
        labels = None if self.given_up else self._try(low, rows, cols)
        return self.reference(low, rows, cols) if labels is None else labels

    def _checked(self, low: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """Returns the reference's labels, and compares the kernel's with them."""
        expected = self.reference(low, rows, cols)
        if not low.isfinite().all():  # nor are the logits, of which the order says nothing; the next call may
            return expected
        labels = self._try(low, rows, cols)
        if labels is not None:
            wrong = count_wrong(labels, expected, low, rows, cols)
            if wrong == 0:
                self._passed.add((low.device, low.dtype))
            else:
                self._give_up(f'{wrong} of {expected.numel()} labels are wrong')
        return expected

    def _try(self, low: Tensor, rows: Tensor, cols: Tensor) -> Tensor | None:
        try:
            return self.kernel(low, rows, cols)
        except torch.OutOfMemoryError:  # no fault of the kernel's
            raise
        except Exception as error:  # a compiler or a driver may raise anything
            self._give_up(one_line(error))
            return None

    def _give_up(self, reason: str) -> None:
        with self._turn:
            first, self.given_up = not self.given_up, True
        if first:
            warnings.warn(f'the Triton kernel for labels is off in this process, which goes on without it: {reason}',
                          RuntimeWarning, stacklevel=2)


def count_wrong(labels: Tensor, expected: Tensor, low: Tensor, rows: Tensor, cols: Tensor) -> int:
    """Returns how many labels are none of a pixel's largest logits, to rounding; those as expected are right.

    Args:
        labels: (H, W).
        expected: (H, W).
        low: (C, Ky, Kx), finite.
        rows: (H, Ky).
        cols: (W, Kx).
    """
    if labels.shape != expected.shape:
        return expected.numel()
    classes, wrong, low = len(low), 0, low.double()  # exact, whatever precision the device's matmuls have
    for pixels in (labels != expected).nonzero().split(AT_ONCE):
        y, x = pixels.unbind(1)
        logits = torch.einsum('nk,ckl,nl->nc', rows[y].double(), low, cols[x].double())
        found = labels[y, x]
        inside = (found >= 0) & (found < classes)
        got = logits.gather(1, found.clamp(0, classes - 1)[:, None])[:, 0]
        right = inside & (logits.amax(1) - got <= ROUNDING * low.abs().amax())
        wrong += int((~right).sum())
    return wrong
