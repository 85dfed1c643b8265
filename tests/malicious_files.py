"""Checkpoint files that mean harm, and good ones damaged by chance: what several test files share."""
import io
import os
import pickle
import random
import struct
import tarfile
import zipfile
from pathlib import Path

import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save

FORMS = ('zip', 'legacy', 'pickle', 'protocol4', 'tar')


class Attack:
    """Pickles to the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def attacks(marker) -> dict:
    """By name, payloads that write a file when run (those with getattr need only be answered) and what they ask for."""
    write = f'echo owned > {marker}'
    return dict(
        system=(Attack(os.system, write), 'posix.system'),
        eval=(Attack(eval, f"__import__('os').system({write!r})"), 'builtins.eval'),
        exec=(Attack(exec, f'open({str(marker)!r}, "w").close()'), 'builtins.exec'),
        open=(Attack(open, str(marker), 'w'), '_?io.open'),
        getattr_tensor=(Attack(getattr, torch.Tensor, 'numpy'), 'getattr'),
        getattr_class=(Attack(getattr, dict, '__subclasses__'), 'getattr|builtins.dict'),
        getattr_history=(Attack(getattr, HistoryBuffer, '__init__'), 'getattr'),
        memory=(Attack(bytearray, 10**12), 'builtins.bytearray'),
        torch_hub=(Attack(torch.hub.load, 'nobody/nothing', 'model'), 'torch.hub.load'))


def save_as(content, path: Path, form: str) -> Path:
    """Writes a pickle in one of FORMS, and returns the path."""
    if form == 'zip':
        torch.save(content, path)
    elif form == 'legacy':
        torch.save(content, path, _use_new_zipfile_serialization=False)
    elif form == 'protocol4':
        torch.save(content, path, pickle_protocol=4)
    elif form == 'pickle':
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        with tarfile.open(path, 'w', format=tarfile.PAX_FORMAT) as archive:
            for name in ('storages', 'tensors', 'pickle'):
                data = pickle.dumps(content if name == 'pickle' else 0, protocol=2)
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


def code_in_configs(marker) -> dict:
    """By name, configs as text that write a file when run, and what they ask for."""
    write = f'touch {marker}'
    return dict(
        imported=(f'import os\nx = os.system({write!r})\n', 'os.system'),
        called=(f'x = __import__("os").system({write!r})\n', '__import__'),
        opened=(f'x = open({str(marker)!r}, "w")\n', 'open'),
        inherited=(f'from os import system as dict\nmodel = dict({write!r})\n', 'os.system'),
        aliased=(f'dict = eval\nx = dict("open({str(marker)!r}, chr(119))")\n', 'eval'),
        decorated=('@exec\ndef x(): pass\n', 'exec'),
        reached=('x = ().__class__.__base__.__subclasses__()\n', '__subclasses__'))


def rezip(archive: bytes, change) -> bytes:
    """A zip archive with `change(name, data)` of every record, and right checksums again."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, 'w') as new:
        for record in old.infolist():
            new.writestr(record.filename, change(record.filename, old.read(record)))
    return out.getvalue()


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Bytes cut, flipped, moved, repeated or replaced somewhere; with pickle's opcodes for ammunition."""
    data, count = bytearray(data), rng.choice((1, 1, 2, 8))
    for _ in range(count):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(7)
        if kind == 0:
            del data[at:]
        elif kind == 1 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.choice((1, 4, 64)))
        elif kind == 4:
            del data[at:at + rng.choice((1, 4, 64))]
        elif kind == 5:
            other = rng.randrange(len(data) + 1)
            data[at:at] = data[other:other + rng.choice((4, 64, 512))]
        else:
            data[at:at] = rng.choice(SPLICES)
    return bytes(data)


SPLICES = [b'cposix\nsystem\n', b'c__builtin__\ngetattr\n', b'c__builtin__\nbytearray\nM\xff\xff\x85R', b'\x8f', b'R',
           b'b', b'\x81', b'\x80\x04\x95', b'.', b'(', b't', b'}', b']', b'\x85', b'\x8a\x08' + b'\xff' * 8, b'Q', b'0',
           b's', b'J\xff\xff\xff\x7f', b'J\x00\x00\x00\x80', b'\xff' * 8, b'h\x00', b'r\xff\xff\xff\xff',
           b'cnumpy\ndtype\n', b'ctorch._utils\n_rebuild_tensor_v2\n', b'ccollections\nOrderedDict\n', b'u',
           b'X\xff\xff\xff\x7f']


def system_pickle(marker) -> bytes:
    """A pickle that writes the marker when run, to splice into others."""
    return pickle.dumps(Attack(os.system, f'touch {marker}'), protocol=2)[2:-1]


class Fuzzer:
    """Makes damaged files of a good one, the same for the same seed.

    Args:
        content: What the good checkpoint holds: a state dict and a meta.
        marker: The file that spliced code would write.
    """

    def __init__(self, content: dict, marker: Path, seed: int = 0):
        self.rng, self.marker = random.Random(seed), marker
        buffers = io.BytesIO(), io.BytesIO()
        torch.save(content, buffers[0])
        torch.save(content, buffers[1], _use_new_zipfile_serialization=False)
        self.zip, self.legacy = (buffer.getvalue() for buffer in buffers)
        self.safetensors = save(content['state_dict'], {'dataset_meta': '{"classes": ["a"], "palette": [[1, 2, 3]]}'})
        self.kinds = ('zip', 'pickle_in_zip', 'data_in_zip', 'spliced_zip', 'legacy', 'legacy_pickle', 'spliced_legacy',
                      'safetensors', 'safetensors_header')

    def file(self, kind: str) -> bytes:
        """One damaged file of a kind."""
        rng = self.rng
        if kind in ('zip', 'legacy', 'safetensors'):
            return mutate(getattr(self, kind), rng)
        if kind == 'pickle_in_zip':
            return rezip(self.zip, lambda name, data: mutate(data, rng) if name.endswith('data.pkl') else data)
        if kind == 'data_in_zip':
            return rezip(self.zip, lambda name, data: mutate(data, rng) if rng.random() < 0.01 else data)
        if kind == 'spliced_zip':
            return rezip(self.zip, lambda name, data: self.splice(data) if name.endswith('data.pkl') else data)
        if kind == 'legacy_pickle':
            return mutate(self.legacy[:2500], rng) + self.legacy[2500:]
        if kind == 'spliced_legacy':
            return self.splice(self.legacy[:2500]) + self.legacy[2500:]
        size, = struct.unpack('<Q', self.safetensors[:8])
        header = mutate(self.safetensors[8:8 + size], rng)
        length = len(header) if rng.random() < 0.8 else rng.getrandbits(rng.choice((8, 32, 64)))
        return struct.pack('<Q', length) + header + self.safetensors[8 + size:]

    def splice(self, data: bytes, at: int | None = None) -> bytes:
        """A pickle with code somewhere inside, or at a place."""
        at = self.rng.randrange(2, len(data)) if at is None else at
        return data[:at] + system_pickle(self.marker) + data[at:]
