"""Random pickles of the opcodes that torch's unpickler follows: mostly well-formed, of any structure."""
import pickle
import random
import struct

from pickle_attacks import _number, _tensor, _text

NAMES = [name.replace(' ', '\n').encode() + b'\n' for name in (
    'collections OrderedDict', 'collections Counter', '__builtin__ set', 'torch Size', 'torch device', '_codecs encode',
    'numpy dtype', 'numpy ndarray', 'numpy._core.multiarray _reconstruct', 'numpy._core.multiarray scalar',
    'torch._utils _rebuild_tensor_v2', 'torch._utils _rebuild_parameter', 'torch._utils _rebuild_parameter_with_state',
    'torch._tensor _rebuild_from_type_v2', 'torch FloatStorage', 'torch._utils _rebuild_sparse_tensor',
    'torch._utils _rebuild_meta_tensor_no_storage', 'torch float32', 'torch.serialization _get_layout',
    'mmengine.logging.history_buffer HistoryBuffer', '__builtin__ slice', '__builtin__ complex', 'torch Tensor',
    'torch FloatTensor', 'torch.nn.parameter Parameter', '__builtin__ bytes', '__builtin__ getattr',
    'torch.storage UntypedStorage', 'torch._utils _rebuild_qtensor')]
TEXTS = ['', 'a', 'weight', 'latin1', 'hex', 'cpu', 'meta', 'storage', '0', 'f8', 'U9', 'torch.strided',
         'torch.sparse_coo', '_metadata', 'ü' * 300]
NUMBERS = [0, 1, 2, 3, 4, 255, 256, 65535, -1, -2**31, 2**31 - 1, 2**40, 2**62, 2**63, 2**64, 2**61 - 1, -2**80,
           2**2000]


class RandomPickle:
    """One random pickle.

    Args:
        seed: The same one gives the same pickle.
    """

    def __init__(self, seed: int):
        self.rng, self.made, self.kept = random.Random(seed), [], 0
        self.doubling = self.rng.random() < 0.2
        self.strange = self.rng.choice((0, 0, 0.01, 0.05))

    def value(self) -> bytes:
        """The opcodes that leave one object, mostly, without the end."""
        count = self.rng.choice((1, 3, 10, 40, 150))
        parts = [self._object(self.rng.choice((1, 3, 6))) for _ in range(count)]
        if self.rng.random() < 0.1:
            return b')' + self.rng.choice((b'\x85', b'](', b'](K\x01')) * self.rng.choice((50, 1000, 30_000))
        return b'(' + b''.join(parts) + b't'

    def _object(self, levels: int) -> bytes:
        rng = self.rng
        if rng.random() < self.strange:
            return bytes([rng.randrange(256)]) + rng.randbytes(rng.randrange(4))
        made = rng.choice((self._leaf, self._leaf, self._container, self._container, self._call, self._kept))(levels)
        if rng.random() < (0.7 if self.doubling else 0.3):
            made += b'r' + struct.pack('<I', self.kept)
            self.kept += 1
        return made

    def _leaf(self, levels: int) -> bytes:
        rng = self.rng
        return rng.choice((
            lambda: rng.choice((b'N', b'\x88', b'\x89')), lambda: _number(rng.choice(NUMBERS)),
            lambda: b'G' + struct.pack('>d', rng.choice((0, -1.5, 1e300, float('nan'), float('inf')))),
            lambda: _text(rng.choice(TEXTS)), lambda: b'U' + bytes([3]) + rng.randbytes(3),
            lambda: b'K' + rng.randbytes(1), lambda: b'c' + rng.choice(NAMES),
            lambda: _tensor(self._sides(), self._sides(), rng.randrange(9))))()

    def _sides(self) -> bytes:
        return b'(' + b''.join(_number(self.rng.choice(NUMBERS)) for _ in range(self.rng.randrange(3))) + b't'

    def _kept(self, levels: int) -> bytes:
        if not self.kept:
            return self._leaf(levels)
        number = self.kept - 1 if self.doubling else self.rng.randrange(self.kept)
        return b'j' + struct.pack('<I', number)

    def _several(self, levels: int, at_most: int = 5) -> bytes:
        return b''.join(self._object(levels - 1) for _ in range(self.rng.randrange(at_most)))

    def _container(self, levels: int) -> bytes:
        rng = self.rng
        if levels <= 0:
            return rng.choice((b')', b']', b'}', b'\x8f' if rng.random() < self.strange else b')'))
        pairs = b''.join(rng.choice((self._leaf, self._object))(levels - 1) + self._object(levels - 1)
                         for _ in range(rng.randrange(4)))
        return rng.choice((
            lambda: b'(' + self._several(levels) + b't', lambda: b'](' + self._several(levels) + b'e',
            lambda: b'}(' + pairs + b'u', lambda: self._object(levels - 1) + b'\x85',
            lambda: self._object(levels - 1) + self._object(levels - 1) + b'\x86', lambda: b'}' + self._leaf(
                levels) + self._object(levels - 1) + b's', lambda: b']' + self._object(levels - 1) + b'a'))()

    def _call(self, levels: int) -> bytes:
        rng = self.rng
        function = b'c' + rng.choice(NAMES) if rng.random() < 0.95 else self._object(levels - 1)
        arguments = b'(' + self._several(levels, 4) + b't' if rng.random() < 0.9 else self._object(levels - 1)
        made = function + arguments + rng.choice((b'R', b'R', b'R', b'\x81'))
        if rng.random() < 0.2:
            state = self._object(levels - 1)
            made += rng.choice((b'}' + _text('_metadata') + state + b's', state)) + b'b'
        return made


def dumped(seed: int) -> bytes:
    """A whole pickle, to look at."""
    return b'\x80\x02' + RandomPickle(seed).value() + pickle.STOP
