"""Reading `torch.save` files without running code in them, and without disturbing another thread.

`torch.load(weights_only=True)` unpickles. It takes its list of allowed classes from the process, so that
`torch.serialization.safe_globals` would show ours to every thread; here the reading thread alone sees them. What would
trust a file's claims goes to stand-ins, and every pickle is measured before it is followed.
"""
import contextlib
import contextvars
import pickle
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

import torch
from torch import _weights_only_unpickler as unpickler

from ..errors import CheckpointError, shown
from .archives import check_archive
from .asked_for import asked_for, is_pickled
from .pickle_bounds import check_pickle
from .plain import bytes_of_tensors, bytes_of_values, rebuild
from .stand_ins import BUILT, CALLED, HISTORY, OF_OTHERS, OF_TORCH, REFUSED, Array, Dtype, History, history_buffer

ASKED = '_get_allowed_globals', '_get_user_allowed_globals', 'Unpickler'  # what of torch's unpickler is known here
REPEATED = 16  # how often the numbers in a file may be repeated by its tensors, beyond a few
FEW = 2**30  # bytes: a large model's
_reading = contextvars.ContextVar('reading', default=False)
_install = threading.Lock()


class NeedsTrust(CheckpointError):
    """A file asks for what only a reader could give it that would run its code, too."""


def _allow_in_this_thread() -> None:
    """Makes torch's unpickler ask, at every pickle and every global, whether this thread is reading for us.

    Other threads get the answers that they got before, from the process's lists, which nobody here writes to.

    Raises:
        CheckpointError: This version of PyTorch has another unpickler.
    """
    with _install:
        of_torch, of_users, plain_unpickler = (getattr(unpickler, name, None) for name in ASKED)
        if hasattr(of_users, 'before'):
            return
        if of_torch is None or of_users is None or plain_unpickler is None:
            raise CheckpointError(f'PyTorch {torch.__version__} reads files in a way that is not known here; give a '
                                  '.safetensors file, or install an earlier PyTorch')
        stand_ins = OF_OTHERS | ({HISTORY: History} if history_buffer() else {})
        plain = {name: OF_TORCH.get(name, value) for name, value in of_torch().items() if name not in REFUSED}

        def known() -> dict[str, Any]:
            return plain if _reading.get() else of_torch()

        def allowed() -> dict[str, Any]:
            return of_users() | stand_ins if _reading.get() else of_users()

        class Unpickler(plain_unpickler):
            """Torch's, which looks at a pickle first while this thread reads for us."""

            def __init__(self, file: BinaryIO, **options: Any):
                super().__init__(file, **options)
                self._file = file

            def load(self) -> Any:
                """Returns what is pickled."""
                if _reading.get():
                    users = allowed()
                    check_pickle(self._file, lambda name: name in plain or name in users, CALLED | users.keys(),
                                 BUILT | users.keys())
                return super().load()
        allowed.before = of_users
        unpickler._get_allowed_globals, unpickler._get_user_allowed_globals = known, allowed
        unpickler.Unpickler = Unpickler


@contextlib.contextmanager
def _reading_here() -> Iterator[None]:
    """Makes this thread one that reads for us."""
    _allow_in_this_thread()
    token = _reading.set(True)
    try:
        yield
    finally:
        _reading.reset(token)


def load(file: BinaryIO, map_location: Any) -> Any:
    """Unpickles a `torch.save` file: tensors, plain data, NumPy arrays and mmengine's history buffers.

    Args:
        file: The opened file.
        map_location: As in `torch.load`.

    Raises:
        NeedsTrust: The file asks for more, by name.
        CheckpointError: It is damaged.
        Exception: Whatever torch's unpickler and readers meet in a damaged file.
    """
    with _reading_here():
        try:
            size = file.seek(0, 2)
            file.seek(0)
            if file.read(4) == b'PK\x03\x04':
                check_archive(file)
            file.seek(0)
            content = rebuild(torch.load(file, map_location=map_location, weights_only=True), (Array, Dtype, History))
        except CheckpointError:
            raise
        except Exception as error:
            known = {*unpickler._get_allowed_globals(), *unpickler._get_user_allowed_globals()}
            names = asked_for(file, known)
            if names:
                raise NeedsTrust(f'it asks for {", ".join(map(shown, names[:4]))}{" ..." * (len(names) > 4)}, which '
                                 'could run code') from error
            if isinstance(error, pickle.UnpicklingError) and is_pickled(file):
                raise NeedsTrust('it is pickled in another way than torch.save does by itself') from error
            raise
    if bytes_of_tensors(content) > size:
        raise CheckpointError('tensors in it are larger than the file: it is damaged')
    if bytes_of_values(content) > REPEATED * size + FEW:
        raise CheckpointError(f'its tensors repeat a few numbers, up to {bytes_of_values(content):,} bytes of them, '
                              'which no checkpoint needs: it is damaged')
    return content
