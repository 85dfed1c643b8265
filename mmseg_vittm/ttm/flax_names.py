"""The parameters of the released unit, which is written in Flax: their names and layouts, and loading them.

Flax numbers modules by the order in which a forward pass makes them. Its kernels are input x output, ours output x
input; attention kernels have an axis of heads. Each of its parameters is a *view* of ours, so that loading is copying.
"""
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .add_erase import AddErase, ReleasedAddErase, SlotVectors
from .layers import Attention, Mlp
from .machine import Machine
from .pooling import AttentionPooling, PooledWrite, TokenSummary
from .process import MixerBlock, MlpBlock, ProcessUnit, TransformerBlock

PREFIX = 'unit_function/'
Named = Iterator[tuple[str, Tensor]]


def load_flax(machine: Machine, params: Mapping[str, Any]) -> None:
    """Loads the released unit's parameters: all of them, or none.

    What the release has not, the embedding by which the bounded add-erase tells memory tokens apart, becomes zero,
    which computes as without it.

    Args:
        machine: A `TokenTuringMachine` or `SimpleTokenTuringMachine`, changed in place.
        params: NumPy arrays or tensors by their Flax names, such as `unit_function/Encoder_0/encoder_norm/bias`, with
            or without the first part, and without `params/`.

    Raises:
        ValueError: Names are missing, unexpected or there twice, or values have another shape or are no floating-point
            numbers; names all of them, and the machine is as before.
    """
    views, values, problems = flax_views(machine), {}, []
    for name, value in params.items():
        short = name.removeprefix(PREFIX)
        if short not in views:
            problems.append(f'{name}: unexpected')
        elif short in values:
            problems.append(f'{name}: there with and without {PREFIX}')
        else:
            values[short] = value = value if isinstance(value, Tensor) else torch.tensor(value)
            if value.shape != views[short].shape:
                problems.append(f'{name}: shape {tuple(value.shape)}, not {tuple(views[short].shape)}')
            elif not value.is_floating_point():
                problems.append(f'{name}: {value.dtype}, not floating-point numbers')
    problems += [f'{name}: missing' for name in views if name not in values]
    if problems:
        raise ValueError(f'{len(problems)} parameters do not fit this {type(machine).__name__}, and none was loaded: '
                         f'{"; ".join(problems)}; build the machine with the memory_mode, process_unit, widths, tokens '
                         'and layers of the weights')
    for name, view in views.items():
        view.copy_(values[name])
    for part in machine.modules():
        if isinstance(part, AddErase):
            part.position.detach().zero_()


def flax_views(machine: Machine) -> dict[str, Tensor]:
    """Returns a machine's parameters by Flax's names, without `unit_function/`, and in its layout, as views of them.

    Copies of them are what `load_flax` takes, so this is the way back, too.
    """
    return dict(_machine(machine))


def _machine(machine: Machine) -> Named:
    yield from _pooling('0', machine.read)
    yield from _process(machine.process)
    yield from _position('read_pos_embed/pos_embedding', getattr(machine, 'read_position', None))
    write = getattr(machine, 'write', None)  # the simple unit has none
    if isinstance(write, PooledWrite):
        yield from _pooling('1', write.pooling)
        yield from _position('write_pos_embed/pos_embedding', write.position)
    elif isinstance(write, ReleasedAddErase):
        yield from _add_erase('TokenAddEraseWrite_0', write)


def _pooling(number: str, pooling: TokenSummary | AttentionPooling) -> Named:
    if isinstance(pooling, TokenSummary):
        yield from _norm(f'TokenLearnerModuleV11_{number}/LayerNorm_0', pooling.norm)
        yield from _mlp(f'TokenLearnerModuleV11_{number}/token_masking', pooling.scores)
    else:
        yield from _position(f'TokenLearnerMHA_{number}/tokens', pooling.queries)
        yield from _attention(f'TokenLearnerMHA_{number}/attn', pooling.attention)


def _add_erase(name: str, write: ReleasedAddErase) -> Named:
    """Norms and MLPs numbered through: of the selection, then of what is erased, then of what is added."""
    yield from _norm(f'{name}/LayerNorm_0', write.norm)
    yield from _mlp(f'{name}/MlpBlock_0', write.selection)
    vectors: tuple[SlotVectors, ...] = write.erase, write.add
    for number, part in enumerate(vectors, 1):
        yield from _norm(f'{name}/LayerNorm_{number}', part.norm)
        yield from _mlp(f'{name}/MlpBlock_{2 * number - 1}', part.token_mlp)
        yield from _mlp(f'{name}/MlpBlock_{2 * number}', part.channel_mlp)


def _process(unit: ProcessUnit) -> Named:
    for number, block in enumerate(unit.blocks):
        if isinstance(block, TransformerBlock):
            name = f'Encoder_0/encoderblock_{number}'
            yield from _norm(f'{name}/LayerNorm_0', block.attention_norm)
            yield from _attention(f'{name}/MultiHeadDotProductAttention_0', block.attention)
            yield from _norm(f'{name}/LayerNorm_1', block.mlp_norm)
            yield from _mlp(f'{name}/MlpBlock_0', block.mlp)
        elif isinstance(block, MixerBlock):
            name = f'MixerBlock_{number}'
            yield from _norm(f'{name}/LayerNorm_0', block.token_norm)
            yield from _mlp(f'{name}/token_mixing', block.token_mlp)
            yield from _norm(f'{name}/LayerNorm_1', block.channel_norm)
            yield from _mlp(f'{name}/channel_mixing', block.channel_mlp)
        else:
            yield from _norm(f'LayerNorm_{number}', block.norm)
            yield from _mlp(f'MlpBlock_{number}', block.mlp)
    yield from _position('Encoder_0/posembed_input/pos_embedding', unit.position)
    number_of_norms = {TransformerBlock: 'Encoder_0/encoder_norm', MixerBlock: 'LayerNorm_0',
                       MlpBlock: f'LayerNorm_{len(unit.blocks)}'}
    yield from _norm(number_of_norms[type(unit.blocks[0])], unit.norm)


def _attention(name: str, attention: Attention) -> Named:
    heads, (key, value) = attention.num_heads, attention.kv.weight.detach().chunk(2)
    key_bias, value_bias = attention.kv.bias.detach().chunk(2)
    for which, weight, bias in (('query', attention.q.weight.detach(), attention.q.bias.detach()),
                                ('key', key, key_bias), ('value', value, value_bias)):
        yield f'{name}/{which}/kernel', weight.t().unflatten(1, (heads, -1))  # (C, heads, c)
        yield f'{name}/{which}/bias', bias.unflatten(0, (heads, -1))
    yield f'{name}/out/kernel', attention.proj.weight.detach().t().unflatten(0, (heads, -1))  # (heads, c, C)
    yield f'{name}/out/bias', attention.proj.bias.detach()


def _mlp(name: str, mlp: Mlp) -> Named:
    for number, dense in enumerate((mlp.fc1, mlp.fc2)):
        yield f'{name}/Dense_{number}/kernel', dense.weight.detach().t()
        yield f'{name}/Dense_{number}/bias', dense.bias.detach()


def _norm(name: str, norm: nn.LayerNorm) -> Named:
    yield f'{name}/scale', norm.weight.detach()
    yield f'{name}/bias', norm.bias.detach()


def _position(name: str, position: nn.Parameter | None) -> Named:
    if position is not None:
        yield name, position.detach()
