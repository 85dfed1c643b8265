"""The machine against the released unit's outputs, and against a machine in NumPy written from its description.

The NumPy machine works on the released names and layouts. It is itself held to the released unit's outputs, and then
says what the two units compute whose outputs are not here, and the bounded add-erase.
"""
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from mmseg_vittm.ttm import Machine, SimpleTokenTuringMachine, TokenTuringMachine, flax_views, load_flax

UNITS = dict(
    tl_transformer={}, tl_mixer=dict(process_unit='mixer'), tl_mha_transformer=dict(memory_mode='attention'),
    tl_mlp=dict(process_unit='mlp'), tl_adderase_transformer=dict(memory_mode='add_erase_released'),
    unit_position_embeddings=dict(num_input_tokens=20), simple_unit=None)
HELD_BACK = ('tl_mlp', 'tl_adderase_transformer')
HERE = [name for name in UNITS if name not in HELD_BACK]


def build(arguments: dict | None, dims=48, memory=14, process=6, **others) -> Machine:
    """A machine of the goldens' sizes; None is the simple unit."""
    arguments, others = arguments or {}, dict(num_layers=2) | others
    kind = SimpleTokenTuringMachine if arguments is None or arguments.get('simple') else TokenTuringMachine
    return kind(dims, memory, process, **{key: value for key, value in arguments.items() if key != 'simple'}, **others)


class Params(dict):
    """Parameters by their released names; `below` takes those of a module."""

    def below(self, name: str) -> 'Params':
        return Params({key[len(name) + 1:]: value for key, value in self.items() if key.startswith(f'{name}/')})


def gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softmax(x, axis):
    x = np.exp(x - x.max(axis=axis, keepdims=True))
    return x / x.sum(axis=axis, keepdims=True)


def norm(p: Params, x):
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-6) * p['scale'] + p['bias']


def mlp(p: Params, x):
    return gelu(x @ p['Dense_0/kernel'] + p['Dense_0/bias']) @ p['Dense_1/kernel'] + p['Dense_1/bias']


def attention(p: Params, target, source):
    """A head after the other, of tokens (Nt, C) and (Ns, C)."""
    out = p['out/bias'] + np.zeros_like(target)
    for head in range(p['query/kernel'].shape[1]):
        q, k, v = (tokens @ p[f'{name}/kernel'][:, head] + p[f'{name}/bias'][head]
                   for name, tokens in (('query', target), ('key', source), ('value', source)))
        out = out + softmax(q @ k.T / math.sqrt(q.shape[1]), axis=1) @ v @ p['out/kernel'][head]
    return out


def pool(p: Params, number: int, tokens):
    """Token summary, or attention pooling where the parameters are that."""
    summary, pooling = p.below(f'TokenLearnerModuleV11_{number}'), p.below(f'TokenLearnerMHA_{number}')
    if not summary:
        return attention(pooling.below('attn'), pooling['tokens'][0], tokens)
    scores = mlp(summary.below('token_masking'), norm(summary.below('LayerNorm_0'), tokens))
    return np.stack([(softmax(column, axis=0)[:, None] * tokens).sum(axis=0) for column in scores.T])


def process(p: Params, tokens):
    encoder = p.below('Encoder_0')
    if encoder:
        tokens, number = tokens + encoder['posembed_input/pos_embedding'][0], 0
        while block := encoder.below(f'encoderblock_{number}'):
            normed = norm(block.below('LayerNorm_0'), tokens)
            tokens = tokens + attention(block.below('MultiHeadDotProductAttention_0'), normed, normed)
            tokens = tokens + mlp(block.below('MlpBlock_0'), norm(block.below('LayerNorm_1'), tokens))
            number += 1
        return norm(encoder.below('encoder_norm'), tokens)
    if p.below('MixerBlock_0'):
        number = 0
        while block := p.below(f'MixerBlock_{number}'):
            tokens = tokens + mlp(block.below('token_mixing'), norm(block.below('LayerNorm_0'), tokens).T).T
            tokens = tokens + mlp(block.below('channel_mixing'), norm(block.below('LayerNorm_1'), tokens))
            number += 1
        return norm(p.below('LayerNorm_0'), tokens)
    number = 0
    while block := p.below(f'MlpBlock_{number}'):
        tokens = mlp(block, norm(p.below(f'LayerNorm_{number}'), tokens))
        number += 1
    return norm(p.below(f'LayerNorm_{number}'), tokens)


def add_erase(p: Params, memory, outputs, bounded: bool):
    """Element by element over the slots."""
    select = softmax(mlp(p.below('MlpBlock_0'), norm(p.below('LayerNorm_0'), memory)), axis=0)  # (m, 8)
    vectors = []
    for number, first in ((1, 1), (2, 3)):
        over_tokens = mlp(p.below(f'MlpBlock_{first}'), norm(p.below(f'LayerNorm_{number}'), outputs).T).T  # (8, C)
        vectors.append(mlp(p.below(f'MlpBlock_{first + 1}'), over_tokens))
    erase, add = (1 / (1 + np.exp(-one)) for one in vectors) if bounded else vectors
    kept, added = np.ones_like(memory), np.zeros_like(memory)
    for slot in range(8):
        kept = kept * (1 - np.outer(select[:, slot], erase[slot]))
        one = np.outer(select[:, slot], add[slot])
        added = added + (one if bounded else 1 - one) / 8
    return memory * kept + added


def step(p: Params, memory, tokens, process_tokens: int, bounded: bool = False):
    """The next memory (m, C) and outputs (r, C), of memory (m, C) and tokens (N, C)."""
    writes_by_pooling = any(p.below(f'{name}_1') for name in ('TokenLearnerModuleV11', 'TokenLearnerMHA'))
    writes_by_erasing = p.below('TokenAddEraseWrite_0')
    if not (writes_by_pooling or writes_by_erasing):
        processed = process(p, np.concatenate([memory, pool(p, 0, tokens)]))
        return processed[process_tokens:], processed[:process_tokens]
    seen, places = np.concatenate([memory, tokens]), p.get('read_pos_embed/pos_embedding')
    outputs = process(p, pool(p, 0, seen if places is None else seen + places[0]))
    if writes_by_erasing:
        return add_erase(writes_by_erasing, memory, outputs, bounded), outputs
    seen, places = np.concatenate([seen, outputs]), p.get('write_pos_embed/pos_embedding')
    return pool(p, 1, seen if places is None else seen + places[0]), outputs


def run(p: Params, inputs, memory_tokens: int, process_tokens: int, bounded: bool = False, start=None):
    """Outputs and memories of inputs (B, T, N, C), in float64, a sample after the other."""
    p = Params({name.removeprefix('unit_function/'): np.asarray(value, np.float64) for name, value in p.items()})
    memories, outputs = [], []
    for number, sample in enumerate(np.asarray(inputs, np.float64)):
        memory = np.zeros((memory_tokens, inputs.shape[-1])) if start is None else np.asarray(start, float)[number]
        for frame in sample:
            memory, output = step(p, memory, frame, process_tokens, bounded)
            memories.append(memory)
            outputs.append(output)
    shape = inputs.shape[:2]
    return tuple(np.stack(one).reshape(*shape, *one[0].shape) for one in (outputs, memories))


def randomised(machine: Machine, seed: int = 0, std: float = 0.5) -> dict[str, np.ndarray]:
    """Random parameters by their released names: a fresh machine's norms and biases would hide a wrong order."""
    generator = np.random.default_rng(seed)
    return {f'unit_function/{name}': generator.normal(0.5 if name.endswith('scale') else 0, std, view.shape)
            for name, view in sorted(flax_views(machine).items())}


@pytest.fixture(scope='module')
def folder(shared) -> Path:
    path = shared / 'ttm_goldens'
    if not path.is_dir():
        pytest.skip(f'{path} is not there')
    return path


def golden(folder: Path, name: str) -> tuple[dict[str, np.ndarray], Params]:
    tensors = load_file(folder / f'{name}.safetensors')
    return tensors, Params({key.removeprefix('params/'): value for key, value in tensors.items()
                            if key.startswith('params/')})


def arguments_of(name: str) -> dict:
    return dict(simple=True) if UNITS[name] is None else UNITS[name]


def batched_in_time(tensors: dict[str, np.ndarray]):
    """Inputs, memory at the start, expected outputs and memories, with an axis of time where a golden is one step."""
    if 'memories' in tensors:
        return tensors['inputs'], None, tensors['outputs'], tensors['memories']
    return (tensors['inputs'][:, None], tensors['memory_in'], tensors['outputs'][:, None],
            tensors['memory_out'][:, None])


@pytest.mark.parametrize('name', HERE)
@torch.no_grad()
def test_outputs_and_memories_are_the_released_units(folder, name):
    tensors, params = golden(folder, name)
    machine = build(arguments_of(name))
    load_flax(machine, params)
    inputs, start, outputs, memories = batched_in_time(tensors)
    got = machine(torch.tensor(inputs), None if start is None else torch.tensor(start), return_memories=True)
    for actual, expected in zip(got, (outputs, memories), strict=True):
        assert actual.shape == expected.shape and np.abs(expected).max() > 0.5
        assert np.abs(actual.numpy() - expected).max() < 2e-5


@pytest.mark.parametrize('name', HERE)
def test_the_numpy_machine_is_the_released_unit(folder, name):
    tensors, params = golden(folder, name)
    inputs, start, outputs, memories = batched_in_time(tensors)
    for actual, expected in zip(run(params, inputs, 14, 6, start=start), (outputs, memories), strict=True):
        assert np.abs(actual - expected).max() < 2e-5


@pytest.mark.parametrize('name', UNITS)
def test_names_and_shapes_are_the_released_ones(folder, name):
    theirs = {key.removeprefix('params/').removeprefix('unit_function/'): tuple(shape) for key, shape in json.loads(
        (folder / 'manifest.json').read_text())[name].items() if key.startswith('params/')}
    machine = build(arguments_of(name))
    views = flax_views(machine)
    assert {key: tuple(view.shape) for key, view in views.items()} == theirs
    assert sum(view.numel() for view in views.values()) == sum(weight.numel() for weight in machine.parameters())


@pytest.mark.parametrize('std', [0.1, 0.5])
@pytest.mark.parametrize('dims,memory,process,tokens', [(48, 14, 6, 20), (24, 5, 3, 7)])
@pytest.mark.parametrize('arguments', [
    dict(process_unit='mlp'), dict(memory_mode='add_erase_released'), dict(memory_mode='add_erase'),
    dict(memory_mode='attention', process_unit='mixer'), dict(memory_mode='add_erase', process_unit='mixer'),
    dict(memory_mode='attention', process_unit='mlp', positions=True), dict(memory_mode='add_erase', positions=True),
    dict(process_unit='mixer', positions=True), dict(simple=True, process_unit='mixer'),
    dict(simple=True, process_unit='mlp')], ids=lambda arguments: '-'.join(map(str, arguments.values())))
@torch.no_grad()
def test_the_numpy_machine_says_what_all_others_compute(arguments, dims, memory, process, tokens, std):
    arguments = dict(arguments)
    if arguments.pop('positions', False):
        arguments['num_input_tokens'] = tokens
    machine = build(arguments, dims, memory, process, num_layers=3, mlp_dims=32, num_heads=12 if dims == 48 else 4)
    params = randomised(machine, std=std)
    load_flax(machine.double(), params)
    inputs = np.random.default_rng(1).normal(size=(2, 4, tokens, dims))
    bounded = arguments.get('memory_mode') == 'add_erase'
    for start in (None, np.random.default_rng(2).normal(size=(2, memory, dims))):
        outputs, memories = run(Params(params), inputs, memory, process, bounded, start)
        got = machine(torch.tensor(inputs), None if start is None else torch.tensor(start), return_memories=True)
        for actual, expected in zip(got, (outputs, memories), strict=True):
            assert np.abs(actual.numpy() - expected).max() < 1e-9 * max(1, np.abs(expected).max())
