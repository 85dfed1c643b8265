"""Loading the released layout: strictly, whole or not at all."""
import copy

import numpy as np
import pytest
import torch

from mmseg_vittm.ttm import SimpleTokenTuringMachine, TokenTuringMachine, flax_views, load_flax

SIZES = 24, 5, 3
KWARGS = dict(num_layers=2, mlp_dims=16, num_heads=4)


def build(**arguments) -> TokenTuringMachine:
    return TokenTuringMachine(*SIZES, **KWARGS, **arguments)


def params_of(machine, prefix='unit_function/', seed=0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {prefix + name: generator.normal(size=view.shape).astype(np.float32)
            for name, view in flax_views(machine).items()}


def same(machine, state) -> bool:
    return all(torch.equal(value, state[name]) for name, value in machine.state_dict().items())


@pytest.mark.parametrize('prefix', ['', 'unit_function/'])
@pytest.mark.parametrize('arguments', [
    {}, dict(memory_mode='attention', process_unit='mixer'), dict(memory_mode='add_erase', process_unit='mlp'),
    dict(num_input_tokens=4), None], ids=str)
def test_every_parameter_is_loaded(arguments, prefix):
    machine = SimpleTokenTuringMachine(*SIZES, **KWARGS) if arguments is None else build(**arguments)
    before, params = copy.deepcopy(machine.state_dict()), params_of(machine, prefix)
    load_flax(machine, params)
    assert not any(torch.equal(value, before[name]) for name, value in machine.state_dict().items())
    for name, view in flax_views(machine).items():
        assert np.array_equal(view.numpy(), params[prefix + name])
    other = copy.deepcopy(machine)
    load_flax(other, {name: view.clone() for name, view in flax_views(machine).items()})
    assert same(other, machine.state_dict())
    assert all(weight.requires_grad and weight.is_leaf for weight in machine.parameters())


def test_layouts():
    """Kernels are input x output, and heads lie side by side in our rows."""
    machine = build()
    params = params_of(machine, '')
    load_flax(machine, params)
    attention, name = machine.process.blocks[1].attention, 'Encoder_0/encoderblock_1/MultiHeadDotProductAttention_0'
    key, out = params[f'{name}/key/kernel'], params[f'{name}/out/kernel']
    assert key.shape == (24, 4, 6) and out.shape == (4, 6, 24)
    for head in range(4):
        rows = slice(6 * head, 6 * head + 6)
        assert np.array_equal(attention.kv.weight.detach()[rows], key[:, head].T)
        assert np.array_equal(attention.proj.weight.detach()[:, rows], out[head].T)
    first = params['TokenLearnerModuleV11_0/token_masking/Dense_0/kernel']
    assert np.array_equal(machine.read.scores.fc1.weight.detach(), first.T)


def test_all_that_is_wrong_is_named_and_nothing_loaded():
    machine = build()
    before, params = copy.deepcopy(machine.state_dict()), params_of(machine)
    missing = 'unit_function/Encoder_0/encoder_norm/bias'
    wrong = 'unit_function/TokenLearnerModuleV11_1/token_masking/Dense_1/kernel'
    whole = 'unit_function/Encoder_0/encoder_norm/scale'
    twice = 'TokenLearnerModuleV11_0/LayerNorm_0/bias'
    del params[missing]
    params |= {wrong: np.zeros((64, 7), np.float32), 'unit_function/MixerBlock_0/LayerNorm_0/bias': np.zeros(3),
               whole: np.ones(24, np.int64), twice: np.zeros(24)}
    with pytest.raises(ValueError) as error:
        load_flax(machine, params)
    said = str(error.value)
    assert said.startswith('5 parameters do not fit this TokenTuringMachine, and none was loaded: ')
    for words in (f'{missing.removeprefix("unit_function/")}: missing', f'{wrong}: shape (64, 7), not (64, 5)',
                  'unit_function/MixerBlock_0/LayerNorm_0/bias: unexpected', f'{whole}: torch.int64',
                  f'{twice}: there with and without unit_function/', 'build the machine with the memory_mode'):
        assert words in said
    assert same(machine, before)


def test_weights_of_another_machine_do_not_fit():
    with pytest.raises(ValueError, match='TokenAddEraseWrite_0/LayerNorm_0/scale: unexpected'):
        load_flax(build(), params_of(build(memory_mode='add_erase_released')))
    with pytest.raises(ValueError, match='read_pos_embed/pos_embedding: shape'):
        load_flax(build(num_input_tokens=4), params_of(build(num_input_tokens=6)))
    with pytest.raises(ValueError, match='TokenLearnerModuleV11_1/LayerNorm_0/scale: missing'):
        load_flax(build(), params_of(SimpleTokenTuringMachine(*SIZES, **KWARGS)))


def test_the_bounded_add_erase_takes_the_released_weights():
    """What they do not have, the embedding of the memory's tokens, is zero then."""
    machine, released = build(memory_mode='add_erase'), build(memory_mode='add_erase_released')
    assert machine.write.position.abs().max() > 0
    load_flax(machine, params_of(released))
    assert machine.write.position.abs().max() == 0
    assert {name: view.shape for name, view in flax_views(machine).items()} == {
        name: view.shape for name, view in flax_views(released).items()}


def test_values_are_cast_to_the_machines_dtype():
    machine = build().double()
    params = {name: torch.tensor(value, dtype=torch.bfloat16) for name, value in params_of(machine).items()}
    load_flax(machine, params)
    assert machine.read.norm.weight.dtype == torch.float64
    assert torch.equal(machine.read.norm.weight.detach().bfloat16(),
                       params['unit_function/TokenLearnerModuleV11_0/LayerNorm_0/scale'])
