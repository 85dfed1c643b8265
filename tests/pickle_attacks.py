"""Checkpoint files of a few bytes or megabytes that would crash, hang or fill a machine that believes them."""
import io
import pickle
import struct
import zipfile
from pathlib import Path

import torch
from malicious_files import rezip

ORDERED_DICT = b'ccollections\nOrderedDict\n'
DOUBLED = b')' + b''.join(b'r' + struct.pack('<I', n) + b'j' + struct.pack('<I', n) + b'\x86' for n in range(60))
BIG = b'\x8a\xff' + b'\x01' * 255


def _text(text: str) -> bytes:
    data = text.encode()
    return b'X' + struct.pack('<I', len(data)) + data


def _number(value: int) -> bytes:
    data = pickle.encode_long(value)
    return b'\x8a' + bytes([len(data)]) + data


def _call(name: str, arguments: bytes) -> bytes:
    return b'c' + name.encode().replace(b' ', b'\n') + b'\n' + arguments + b'R'


def _colliding_tuples(count: int) -> bytes:
    """Entries of a dict whose keys, pairs of numbers, all have the hash of one another."""
    prime1, prime2, mask = 11400714785074694791, 14029467366897019727, 2**64 - 1

    def rotated(value: int, by: int) -> int:
        return (value << by | value >> (64 - by)) & mask
    wanted, made, first = 12345, [], 0
    while len(made) < count:
        first += 1
        after = (rotated((2870177450012600261 + first * prime2) & mask, 31) * prime1) & mask
        before = rotated((wanted * pow(prime1, -1, 2**64)) & mask, 33)
        second = ((before - after) * pow(prime2, -1, 2**64)) & mask
        second = second if second < 2**63 else second - 2**64
        if abs(second) < 2**61 - 1:
            made.append(_number(first) + _number(second) + b'\x86N')
    return b'}(' + b''.join(made) + b'u'


def _hexed(times: int) -> bytes:
    return b'(c_codecs\nencode\nq\x00' + _text('ab') + _text('latin1') + b'\x86R' + b''.join(
        b'q\x01' + b'h\x00h\x01' + _text('hex') + b'\x86R' for _ in range(times)) + b't'


def _tensor(size: bytes, stride: bytes, numel: int = 4) -> bytes:
    storage = b'(' + _text('storage') + b'ctorch\nFloatStorage\n' + _text('0') + _text('cpu') + b'K' + bytes(
        [numel]) + b'tQ'
    return b'ctorch._utils\n_rebuild_tensor_v2\n(' + storage + b'K\x00' + size + stride + b'\x89' + ORDERED_DICT \
        + b')RtR'


STATE = b'}' + _text('weight') + _tensor(b'K\x04\x85', b'K\x01\x85') + b's'
VALUES = {
    'deep key': b'})' + b'\x85' * 2_000_000 + b'K\x01s',
    'deep key of a set': _call('__builtin__ set', b'])' + b'\x85' * 200_000 + b'a\x85'),
    'deep key of an ordered dict': _call('collections OrderedDict', b']])' + b'\x85' * 200_000 + b'aNaa\x85'),
    'deep value': b')' + b'\x85' * 2_000_000,
    'deep lists from the top': b'(]q\x00' + b']q\x01h\x00h\x01ah\x01q\x00' * 100_000 + b't',
    'doubled key': b'}' + DOUBLED + b'K\x01s',
    'doubled value': DOUBLED,
    'doubled lists': b']' + b''.join(b'r' + struct.pack('<I', n) + b'](j' + struct.pack('<I', n) + b'j'
                                     + struct.pack('<I', n) + b'e\x86' for n in range(60)),
    'doubled function': DOUBLED + b')R',
    'doubled class': DOUBLED + b')\x81',
    'doubled name of a tensor': b'(' + _text('storage') + b'ctorch\nFloatStorage\n' + DOUBLED + _text('cpu')
                                + b'K\x04tQ',
    'doubled layout': _call('torch.serialization _get_layout', DOUBLED + b'\x85'),
    'doubled state of a parameter': _call('torch._utils _rebuild_parameter_with_state', b'(' + _tensor(
        b'K\x04\x85', b'K\x01\x85') + b'\x89N' + DOUBLED + b't'),
    'colliding tuples': _colliding_tuples(60_000),
    'colliding numbers': b'}(' + b''.join(_number(n * (2**61 - 1)) + b'N' for n in range(1, 60_000)) + b'u',
    'colliding numbers of a set': _call('__builtin__ set', b'](' + b''.join(
        _number(n * (2**61 - 1)) for n in range(1, 60_000)) + b'e\x85'),
    'bytes doubled by a codec': _hexed(45),
    'slow codec': _call('_codecs encode', _text('é' * 200_000) + _text('punycode') + b'\x86'),
    'marks': b'(' * 10_000_000,
    'empty sets': b'\x8f' * 10_000_000,
    'empty dicts': b'}' * 10_000_000,
    'calls': ORDERED_DICT + b'q\x00' + b'h\x00)R' * 1_500_000,
    'array of many huge sides': b'cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01('
                                + BIG * 20_000 + b't' + _call('numpy dtype', _text('f8') + b'\x89\x88\x87')
                                + b'\x89U\x00tb',
    'dtype of many fields': _call('numpy dtype', _text('i4,' * 300_000 + 'i4') + b'\x89\x88\x87'),
    'repeated number': _tensor(b'\x8a\x05' + (2**38).to_bytes(5, 'little') + b'\x85', b'K\x00\x85'),
    'tensor beyond its memory': _tensor(b'J\x00\x00\x00\x10\x85', b'K\x01\x85'),
    'tensor made without memory': _call('torch FloatTensor', b'J\x00\x00\x00\x10\x85'),
    'memory without a file': _call('torch.storage UntypedStorage', b'J\x00\x00\x00\x70\x85'),
    'quantized tensor': _call('torch._utils _rebuild_qtensor', b'(' + b'N' * 7 + b't'),
    'tensor with a state': _tensor(b'K\x04\x85', b'K\x01\x85') + b'(' + b'N' * 4 + b'tb',
    'sparse tensor of one index': _call('torch._utils _rebuild_sparse_tensor', _call(
        'torch.serialization _get_layout', _text('torch.sparse_coo') + b'\x85') + b'(' + _tensor(
        b'K\x01\x8a\x05' + (2**36).to_bytes(5, 'little') + b'\x86', b'K\x00K\x00\x86') + _tensor(
        b'\x8a\x05' + (2**36).to_bytes(5, 'little') + b'\x85', b'K\x00\x85') + b'K\x01\x85t\x86'),
    'chain of parameters': _tensor(b'K\x04\x85', b'K\x01\x85') + b'q\x05' + b''.join(
        b'q\x06ctorch._utils\n_rebuild_parameter_with_state\n(h\x05\x89N}' + _text('x') + b'h\x06stR'
        for _ in range(20_000)),
}


def in_zip(value: bytes, **records: bytes) -> bytes:
    """A file as of torch.save, of a state dict and something more."""
    buffer = io.BytesIO()
    torch.save({'weight': torch.arange(4.)}, buffer)
    content = b'\x80\x02}(' + _text('state_dict') + STATE + _text('meta') + b'}' + _text('more') + value + b'u.'
    return rezip(buffer.getvalue(), lambda name, data: content if name.endswith('data.pkl') else data)


def in_legacy(value: bytes, place: str = 'content') -> bytes:
    """A file as torch.save wrote them before zip archives, with something more in one of its pickles."""
    plain = dict(magic=pickle.dumps(torch.serialization.MAGIC_NUMBER, 2), version=pickle.dumps(1001, 2),
                 system=pickle.dumps({}, 2), content=b'\x80\x02}.', keys=pickle.dumps([], 2))
    plain[place] = b'\x80\x02' + (b'](' + value + b'e' if place == 'keys' else value) + b'.'
    return b''.join(plain.values())


def overlapping_records() -> bytes:
    """A zip archive of many names for one record: checking each would take for ever."""
    buffer = io.BytesIO()
    torch.save({'weight': torch.zeros(250_000)}, buffer)
    data = buffer.getvalue()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        big = max(archive.infolist(), key=lambda record: record.file_size)
        start = archive.start_dir
    entries = data[start:data.rindex(b'PK\x05\x06')]
    names = [f'archive/data/{n + 10}'.encode() for n in range(50_000)]
    entry = b''.join(struct.pack('<4s6H3L5H2L', b'PK\x01\x02', 20, 20, 0, 0, 0, 0, big.CRC, big.file_size,
                                 big.file_size, len(name), 0, 0, 0, 0, 0, big.header_offset) + name for name in names)
    directory = entries + entry
    return data[:start] + directory + struct.pack('<4s4H2LH', b'PK\x05\x06', 0, 0, len(names), len(names),
                                                  len(directory), start, 0)


def files() -> dict[str, bytes]:
    """By name, every attack, in every kind of file that it is for."""
    made = {f'{name}, zip': in_zip(value) for name, value in VALUES.items()}
    for place in ('magic', 'version', 'system', 'content', 'keys'):
        made |= {f'{name}, legacy {place}': in_legacy(VALUES[name], place)
                 for name in ('deep key', 'deep value', 'doubled key', 'doubled value', 'doubled lists', 'marks')}
    return made | {'overlapping records': overlapping_records()}


def write_all(folder: Path) -> list[Path]:
    """Writes them all, and returns their paths."""
    paths = []
    for number, (name, content) in enumerate(files().items()):
        paths.append(folder / f'{number}_{name.replace(" ", "_").replace(",", "")}.pth')
        paths[-1].write_bytes(content)
    return paths
