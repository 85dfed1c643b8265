"""Files that would crash, hang or fill the machine: refused in seconds and little memory, before torch follows them."""
import io
import multiprocessing
import os
import pickle
import random
import resource
import time
import warnings
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from pickle_attacks import files, in_legacy, in_zip
from random_pickles import RandomPickle

from mmseg_vittm.errors import CheckpointError
from mmseg_vittm.weights.convert import convert_checkpoint
from mmseg_vittm.weights.files import read_weights_file
from mmseg_vittm.weights.unpickling import load

SECONDS, MEMORY = 20, 4 * 2**30  # of one file, on a machine that others share; beyond what the process has
PICKLES = int(os.environ.get('MMSEG_VITTM_PICKLES', 400))
FILES = files()
CAUSES = 'hold themselves', 'more than', 'no checkpoint needs', 'asks for', 'larger than', 'damaged', ''


def memory_now() -> int:
    with open('/proc/self/statm') as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def in_a_fork(function, *arguments, seconds: float = SECONDS) -> tuple[int | None, str]:
    """The exit status of a function's process, None where it had to be killed, and what it returned or raised."""
    ours, theirs = multiprocessing.Pipe()

    def inside():
        with open(os.devnull, 'w') as nowhere:
            os.dup2(nowhere.fileno(), 2)
        limit = memory_now() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        warnings.simplefilter('ignore')
        try:
            theirs.send(function(*arguments))
        except BaseException as error:
            theirs.send(f'{type(error).__name__}: {error}')
        os._exit(0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # of forks beside threads, which only sleep
        process = multiprocessing.get_context('fork').Process(target=inside)
        process.start()
    said = ours.recv() if ours.poll(seconds) else ''
    if not said:
        process.kill()
    process.join()
    return (process.exitcode if said or process.exitcode != -9 else None), said


@pytest.mark.parametrize('name', FILES)
def test_files_that_mean_harm(name, tmp_path):
    path = tmp_path / 'file.pth'
    path.write_bytes(FILES[name])
    status, said = in_a_fork(read_weights_file, path)
    assert status == 0 and said.startswith(f'CheckpointError: {path} cannot be loaded: '), (status, said[:500])
    assert len(said) < 1000 and '\n' not in said


def test_a_repeated_number_is_not_converted(tmp_path):
    """Less than it may repeat in all, but for every tensor again."""
    state = {f'decode_head.{n}': torch.zeros(1).expand(2**28) for n in range(20)}
    torch.save({'state_dict': {'backbone.a': torch.ones(1), **state}, 'meta': {}}, tmp_path / 'file.pth')
    with pytest.raises(CheckpointError, match='repeat a few numbers, up to 21,474,836,484 bytes'):
        convert_checkpoint(str(tmp_path / 'file.pth'), str(tmp_path / 'out.safetensors'))
    torch.save({'state_dict': {'backbone.a': torch.ones(1).expand(3, 2)}, 'meta': {}}, tmp_path / 'few.pth')
    assert 'few' in convert_checkpoint(str(tmp_path / 'few.pth'), str(tmp_path / 'few.safetensors'))


def deep(levels: int) -> list:
    value = []
    for _ in range(levels):
        value = [value]
    return value


SHARED = {'a': (1, 2)}
PLAIN = [
    1, -1, 2**40, -2**80, 1.5, float('inf'), True, None, 'text', 'ü' * 5000, b'bytes', b'', (), [], {}, set(), (1,),
    (1, 2), (1, 2, 3), tuple(range(300)), list(range(2500)), dict.fromkeys(range(2500)), {1, 2, 300}, {(1, 2): (3, 4)},
    1 + 2j, {n * 2**40: n for n in range(50)}, OrderedDict(a=1, b=OrderedDict(c=2)), Counter('letters'), deep(100),
    [SHARED] * 50,
    random.Random(0).getstate(), np.random.RandomState(0).get_state(), np.float64(2), np.int64(3),
    np.arange(6.).reshape(2, 3), np.array(['text']), torch.Size((1, 2)), torch.float16, torch.device('cpu'),
    slice(1, None, 2),
    {f'group {n}': {'params': list(range(100)), 'betas': (0.9, 0.999)} for n in range(20)}]


@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
@pytest.mark.parametrize('value', PLAIN, ids=range(len(PLAIN)))
def test_what_checkpoints_hold_is_read_as_by_torch(value, legacy, tmp_path):
    torch.save(dict(first=value, second=value), tmp_path / 'file.pth', _use_new_zipfile_serialization=not legacy)
    expected = torch.load(tmp_path / 'file.pth', weights_only=False)
    read = read_weights_file(tmp_path / 'file.pth')
    assert pickle.dumps(read) == pickle.dumps(expected)
    assert type(read['first']) is type(expected['first'])


def tensors() -> dict:
    base = torch.arange(24.).reshape(4, 6)
    parameter = torch.nn.Parameter(torch.ones(3))
    parameter.mark = 'gone'
    attributed = torch.ones(2)
    attributed.mark = 'gone'
    conjugate, other = torch.complex(base, base).conj(), torch.complex(base, base).conj()
    return dict(
        base=base, view=base[1:3, ::2], turned=base.t(), empty=torch.zeros(0, 3), number=torch.tensor(3.),
        half=base.half(), brain=base.bfloat16(), eight=base.to(torch.float8_e4m3fn), flags=base > 3, whole=base.long(),
        unsigned=base.to(torch.uint16), complex=conjugate, negative=other.imag, parameter=parameter,
        frozen=torch.nn.Parameter(base, requires_grad=False), attributed=attributed, expanded=torch.ones(1).expand(5),
        sparse=base.to_sparse(), gradient=torch.ones(2, requires_grad=True))


@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'legacy'])
@pytest.mark.filterwarnings('ignore')
def test_tensors_are_read_as_by_torch(legacy, tmp_path):
    saved = {name: tensor for name, tensor in tensors().items() if not legacy or name not in ('eight', 'unsigned')}
    torch.save(saved, tmp_path / 'file.pth', _use_new_zipfile_serialization=not legacy)
    expected, read = torch.load(tmp_path / 'file.pth', weights_only=False), read_weights_file(tmp_path / 'file.pth')
    for name, tensor in expected.items():
        ours = read[name]
        assert type(ours) is type(tensor) and ours.dtype == tensor.dtype and ours.shape == tensor.shape, name
        assert ours.requires_grad == tensor.requires_grad and not hasattr(ours, 'mark'), name
        if name != 'sparse':
            assert ours.stride() == tensor.stride() and torch.equal(ours.to(torch.complex64), tensor.to(
                torch.complex64)), name
    assert read['base'].data_ptr() == read['turned'].data_ptr()


def test_ordered_dicts_of_python_2(tmp_path):
    content = b'}(U\x01accollections\nOrderedDict\n](](U\x01xK\x01e](U\x01yK\x02ee\x85Ru'
    (tmp_path / 'old.pth').write_bytes(in_legacy(content))
    read = read_weights_file(tmp_path / 'old.pth')
    assert OrderedDict([(b'x', 1), (b'y', 2)]) in read.values() or OrderedDict([('x', 1), ('y', 2)]) in read.values()


def test_other_readers_are_not_measured(tmp_path):
    """While nothing of ours reads, torch's unpickler is what it was."""
    (tmp_path / 'good.pth').write_bytes(in_zip(b'N'))
    load(open(tmp_path / 'good.pth', 'rb'), 'cpu')  # noqa: SIM115
    assert torch.load(io.BytesIO(in_zip(b'\x8f')), weights_only=True)['more'] == set()
    assert torch.load(io.BytesIO(in_zip(b'ctorch\nFloatTensor\nK\x02\x85R')), weights_only=True)['more'].shape == (2,)


def read_many(seeds: range, folder) -> tuple[Counter, float, int]:
    """Reads random pickles, in zip archives and legacy files; the outcomes, the slowest, and the memory they took."""
    outcomes, slowest, path = Counter(), 0.0, folder / 'random.pth'
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in seeds:
        value = RandomPickle(seed).value()
        path.write_bytes(in_legacy(value) if seed % 4 == 0 else in_zip(value))
        start = time.monotonic()
        try:
            content = read_weights_file(path)
            outcome = 'loaded'
            pickle.dumps(content)
            repr(content)
        except CheckpointError as error:
            assert str(path) in str(error) and '\n' not in str(error) and len(str(error)) < 2000, str(error)
            outcome = 'refused: ' + next(word for word in CAUSES if word in str(error))
        slowest = max(slowest, time.monotonic() - start)
        outcomes[outcome] += 1
    return outcomes, slowest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def test_random_pickles(tmp_path):
    """Any sequence of opcodes: read or refused, in seconds and little memory; MMSEG_VITTM_PICKLES for how many."""
    total, slowest, most = Counter(), 0.0, 0
    for first in range(0, PICKLES, 200):
        status, said = in_a_fork(read_many, range(first, min(first + 200, PICKLES)), tmp_path, seconds=200)
        assert status == 0 and isinstance(said, tuple), (first, status, said)
        total += said[0]
        slowest, most = max(slowest, said[1]), max(most, said[2])
    for outcome, count in sorted(total.items()):
        print(f'{count:6} {outcome}')
    print(f'{PICKLES} pickles; slowest {slowest:.2f} s; {most / 1024:.0f} MiB more memory')
    assert slowest < 10 and most < 2**20
    assert total['loaded'] > 0.05 * PICKLES and total['loaded'] < 0.9 * PICKLES


def test_history_of_a_long_run(tmp_path):
    """What real runs hold is far from every bound."""
    hub = {f'train/{n}': HistoryBuffer(np.ones(20_000), np.ones(20_000, np.int64)) for n in range(20)}
    state = {f'blocks.{n}.weight': torch.ones(4) for n in range(3000)}
    moments = {n: dict(step=torch.tensor(1.), exp_avg=torch.ones(4), exp_avg_sq=torch.ones(4)) for n in range(3000)}
    optimizer = dict(state=moments, param_groups=[dict(lr=1e-3, params=[n]) for n in range(3000)])
    torch.save(dict(message_hub=dict(log_scalars=hub), state_dict=state, optimizer=optimizer), tmp_path / 'long.pth')
    assert read_weights_file(tmp_path / 'long.pth')['optimizer'].keys() == {'state', 'param_groups'}
