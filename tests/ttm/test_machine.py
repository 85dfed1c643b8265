"""The machine over time: streaming, memory as a tensor, gradients, dtypes, bad input."""
import copy

import pytest
import torch
from torch import nn

from mmseg_vittm.ttm import MEMORY_MODES, PROCESS_UNITS, Machine, SimpleTokenTuringMachine, TokenTuringMachine

DIMS, MEMORY, PROCESS, TOKENS = 24, 5, 3, 7
SMALL = dict(num_layers=2, mlp_dims=16, num_heads=4)
KINDS = [(mode, unit) for mode in MEMORY_MODES for unit in PROCESS_UNITS] + [('simple', unit) for unit in PROCESS_UNITS]
# No output depends on what adds the same to all scores of one softmax, or to all channels of a token before its norm.
WITHOUT_EFFECT = ('scores.fc2.bias', 'selection.fc2.bias', 'token_mlp.fc2.bias')


def build(mode: str = 'summary', unit: str = 'transformer', **arguments) -> Machine:
    """A machine whose weights are all random: fresh norms and zero biases would hide what depends on what."""
    torch.manual_seed(0)
    if mode == 'simple':
        machine = SimpleTokenTuringMachine(DIMS, MEMORY, PROCESS, unit, **SMALL, **arguments)
    else:
        machine = TokenTuringMachine(DIMS, MEMORY, PROCESS, mode, unit, **SMALL, **arguments)
    for weight in machine.parameters():
        nn.init.normal_(weight, std=0.3)
    return machine


def frames(batch: int = 2, steps: int = 4, tokens: int = TOKENS, seed: int = 1, **kind) -> torch.Tensor:
    return torch.randn(batch, steps, tokens, DIMS, generator=torch.Generator().manual_seed(seed)).to(**kind)


def some_memory(batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, MEMORY, DIMS, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize('mode,unit', KINDS)
@torch.no_grad()
def test_stepping_is_the_whole_sequence_to_the_bit(mode, unit):
    machine, tokens = build(mode, unit), frames()
    outputs, memories = machine(tokens, return_memories=True)
    assert outputs.shape == (2, 4, PROCESS, DIMS) and memories.shape == (2, 4, MEMORY, DIMS)
    memory = machine.empty_memory(tokens)
    assert memory.shape == (2, MEMORY, DIMS) and not memory.any()
    for number in range(4):
        memory, output = machine.step(memory, tokens[:, number].clone())
        assert torch.equal(memory, memories[:, number]) and torch.equal(output, outputs[:, number])
    again, last = machine(tokens)
    assert torch.equal(again, outputs) and torch.equal(last, memories[:, -1])


@torch.no_grad()
def test_a_stream_is_saved_and_gone_on_with(tmp_path):
    machine, tokens = build(), frames(steps=6)
    outputs, last = machine(tokens)
    first, memory = machine(tokens[:, :2])
    torch.save(memory, tmp_path / 'memory.pt')
    rest, end = machine(tokens[:, 2:], torch.load(tmp_path / 'memory.pt', weights_only=True))
    assert torch.equal(torch.cat([first, rest], dim=1), outputs) and torch.equal(end, last)


@pytest.mark.parametrize('mode,unit', KINDS[:-1])  # in the last, tokens only pass through one by one
@torch.no_grad()
def test_what_a_frame_showed_is_remembered(mode, unit):
    """Later outputs depend on earlier frames, and earlier ones not on later frames."""
    assert KINDS[-1] == ('simple', 'mlp')
    machine, tokens = build(mode, unit), frames()
    changed = tokens.clone()
    changed[:, 1] = frames(seed=9)[:, 1]
    before, after = machine(tokens)[0], machine(changed)[0]
    assert torch.equal(before[:, 0], after[:, 0])
    assert all((before[:, number] - after[:, number]).abs().max() > 1e-5 for number in (1, 2, 3))


@pytest.mark.parametrize('mode', [*MEMORY_MODES, 'simple'])
@torch.no_grad()
def test_samples_of_a_batch_are_alone(mode):
    machine, tokens, memory = build(mode).double(), frames(5).double(), some_memory(5).double()
    outputs, last = machine(tokens, memory)
    for number in range(5):
        alone, end = machine(tokens[number:number + 1], memory[number:number + 1])
        assert torch.allclose(alone[0], outputs[number], atol=1e-12)
        assert torch.allclose(end[0], last[number], atol=1e-12)


@pytest.mark.parametrize('mode,unit', KINDS)
def test_gradients_reach_every_parameter(mode, unit):
    """Two frames are enough from a memory that holds something; erasing from zeros changes nothing."""
    machine = build(mode, unit)
    machine(frames(steps=2))[0].square().sum().backward()
    assert all(weight.grad is not None for weight in machine.parameters())
    machine.zero_grad()
    outputs, _ = machine(frames(steps=2), some_memory())
    (outputs * torch.randn(outputs.shape)).sum().backward()
    for name, weight in machine.named_parameters():
        rows = weight.grad[DIMS:] if name.endswith('kv.bias') else weight.grad  # a bias of keys has no effect
        in_slots = name.startswith('write.') and 'token_mlp' in name  # there an MLP over channels comes next
        if not name.endswith(WITHOUT_EFFECT) or in_slots:
            assert rows.abs().max() > 1e-6, name


def test_position_embeddings_have_gradients_too():
    machine = build(num_input_tokens=TOKENS)
    machine(frames(steps=2))[0].square().sum().backward()
    positions = machine.read_position, machine.write.position
    assert [tuple(one.shape) for one in positions] == [(1, MEMORY + TOKENS, DIMS), (1, MEMORY + TOKENS + PROCESS, DIMS)]
    assert all(one.grad.abs().amax(dim=2).min() > 0 for one in positions)
    erasing = build('add_erase', num_input_tokens=TOKENS)  # its write looks at no inputs
    erasing(frames(steps=2))[0].square().sum().backward()
    assert all(weight.grad is not None for weight in erasing.parameters())


def test_one_frame_leaves_the_write_alone():
    machine = build()
    machine(frames(steps=1))[0].sum().backward()
    without = {name.split('.')[0] for name, weight in machine.named_parameters() if weight.grad is None}
    assert without == {'write'}


@pytest.mark.parametrize('every,flowing', [(None, [0, 1, 2, 3, 4]), (1, [4]), (2, [4]), (3, [3, 4]), (4, [4]),
                                           (9, [0, 1, 2, 3, 4])])
def test_gradients_stop_where_memory_is_detached(every, flowing):
    machine, tokens = build(), frames(steps=5).requires_grad_()
    outputs, last = machine(tokens, detach_every=every)
    assert torch.equal(outputs, machine(tokens)[0])
    outputs[:, 4].sum().backward()
    assert [number for number in range(5) if tokens.grad[:, number].abs().max() > 0] == flowing
    assert last.requires_grad


def test_a_memory_can_be_detached_by_hand():
    machine, memory = build(), some_memory().requires_grad_()
    new, _ = machine.step(memory, frames()[:, 0])
    new.sum().backward()
    assert memory.grad.abs().max() > 0
    machine(frames(), new.detach())[0].sum().backward()  # no second time through what made it


@pytest.mark.parametrize('mode', [*MEMORY_MODES, 'simple'])
@pytest.mark.parametrize('dtype,tolerance', [(torch.float32, 1e-4), (torch.bfloat16, 0.3)])
@torch.no_grad()
def test_dtypes(mode, dtype, tolerance):
    machine, tokens = build(mode), frames(batch=1)
    expected = copy.deepcopy(machine).double()(tokens.double(), return_memories=True)
    for actual, exact in zip(machine.to(dtype)(tokens.to(dtype), return_memories=True), expected, strict=True):
        assert actual.dtype == dtype
        assert (actual.double() - exact).abs().mean() < tolerance * exact.abs().mean()


@pytest.mark.parametrize('mode', [*MEMORY_MODES, 'simple'])
def test_under_autocast_the_memory_keeps_its_dtype(mode):
    machine = build(mode)
    with torch.autocast('cpu', torch.bfloat16):
        outputs, last = machine(frames())
    assert last.dtype == torch.float32 and outputs.isfinite().all()
    outputs.float().sum().backward()
    exact, _ = machine(frames())
    assert (outputs - exact).abs().mean() < 0.1 * exact.abs().mean()


@torch.no_grad()
def test_state_dict_round_trip():
    machine, tokens = build('add_erase', 'mixer'), frames()
    other = TokenTuringMachine(DIMS, MEMORY, PROCESS, 'add_erase', 'mixer', **SMALL)
    assert not torch.equal(other(tokens)[0], machine(tokens)[0])
    other.load_state_dict(machine.state_dict())
    assert torch.equal(other(tokens)[0], machine(tokens)[0])


@torch.no_grad()
def test_without_position_embeddings_any_number_of_tokens_is_read():
    machine = build()
    for tokens in (1, 7, 30):
        assert machine(frames(tokens=tokens))[0].shape == (2, 4, PROCESS, DIMS)
    order = torch.randperm(TOKENS, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(machine(frames())[0], machine(frames()[:, :, order])[0], atol=1e-4)  # they are a set
    placed = build(num_input_tokens=TOKENS)
    assert not torch.allclose(placed(frames())[0], placed(frames()[:, :, order])[0], atol=1e-2)


@torch.no_grad()
def test_an_empty_memory_of_add_erase():
    """The released form keeps equal tokens equal; the bounded one tells them apart from the first write on."""
    for mode, equal in (('add_erase_released', True), ('add_erase', False)):
        _, memories = build(mode)(frames(steps=6), return_memories=True)
        spread = (memories - memories[:, :, :1]).abs().amax(dim=(0, 2, 3))
        assert (spread == 0).all() if equal else (spread > 1e-4).all()


@torch.no_grad()
def test_the_bounded_add_erase_is_bounded():
    """A write shrinks what is there towards zero and adds from 0 to 1, of which all tokens together get one."""
    machine, memory = build('add_erase'), some_memory()
    for weight in machine.write.parameters():
        weight.mul_(20)
    outputs = 100 * torch.randn(2, PROCESS, DIMS)
    from_zeros = machine.write(torch.zeros_like(memory), outputs, None)
    assert from_zeros.min() >= 0 and from_zeros.sum(dim=1).max() <= 1 + 1e-5
    new = machine.write(memory, outputs, None)
    assert ((new >= memory.clamp(max=0) - 1e-6) & (new <= memory.clamp(min=0) + 1 + 1e-6)).all()


@pytest.mark.parametrize('arguments,said', [
    (dict(memory_mode='erase'), r"memory_mode must be one of \['add_erase', .* got 'erase'"),
    (dict(process_unit='rnn'), r"process_unit must be one of \['mixer', 'mlp', 'transformer'\], got 'rnn'"),
    (dict(num_heads=5), r'num_heads=5 does not divide embed_dims=24; give one of \[1, 2, 3, 4, 6, 8, 12\]'),
    (dict(num_layers=0), 'num_layers must be a whole number from 1, got 0'),
    (dict(mlp_dims=2.5), 'mlp_dims must be a whole number from 1, got 2.5'),
    (dict(num_input_tokens=0), 'num_input_tokens must be a whole number from 1, got 0'),
    (dict(embed_dims=20, memory_mode='attention'), '8 heads, which do not divide embed_dims=20; give a multiple of 8'),
])
def test_bad_arguments(arguments, said):
    sizes = dict(embed_dims=DIMS, num_memory_tokens=MEMORY, num_process_tokens=PROCESS, num_heads=4)
    with pytest.raises(ValueError, match=said):
        TokenTuringMachine(**sizes | arguments)
    with pytest.raises(TypeError):
        TokenTuringMachine(**sizes, memory='summary')


def test_bad_shapes():
    machine = build(num_input_tokens=TOKENS)
    with pytest.raises(ValueError, match=r'tokens must be \(B, T, N, 24\).*step takes those of one frame'):
        machine(frames()[:, 0])
    with pytest.raises(ValueError, match='T >= 1 frames'):
        machine(frames()[:, :0])
    with pytest.raises(ValueError, match='fix N = 7 input tokens, got 9'):
        machine(frames(tokens=9))
    with pytest.raises(ValueError, match=r'memory must be \(2, 5, 24\).*got \(1, 5, 24\); empty_memory'):
        machine(frames(), some_memory(1))
    with pytest.raises(ValueError, match=r'tokens of a frame must be \(B, N, 24\), got \(2, 7, 20\)'):
        machine.step(some_memory(), torch.zeros(2, 7, 20))
    with pytest.raises(ValueError, match='detach_every must be 1 or more, or None, got 0'):
        machine(frames(), detach_every=0)
    with pytest.raises(ValueError, match='process_unit'):
        SimpleTokenTuringMachine(DIMS, MEMORY, PROCESS, 'none')
