"""The cell heads against their formula, token by token; the encoder with them; patches that have no cells."""
import math

import pytest
import torch
from tiny_models import assert_no_dead_parameters, images, tiny_encoder
from torch import nn
from torch.nn.functional import linear, softmax

from mmseg_vittm.vittm import ViTTMEncoder
from mmseg_vittm.vittm.cells import CellReadHead, CellWriteHead, by_cell, by_row

DIMS, HEADS, LATENT, CELLS, SIZE = 24, 3, 12, 5, 4


def build(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    head = kind(DIMS, HEADS, LATENT, num_targets=CELLS)
    for weight in head.parameters():
        nn.init.normal_(weight, std=0.5)
    return head.double()


def streams() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(2, count, DIMS, generator=generator, dtype=torch.float64)
                 for count in (CELLS, CELLS * SIZE))


def encoder_of(**changes) -> ViTTMEncoder:
    """Cells of 2 x 2 memory tokens."""
    return tiny_encoder(**dict(read_write_head='cell', process_patch_size=28) | changes)


def test_reading_is_attention_to_the_tokens_of_the_cell():
    head, (process, memory) = build(CellReadHead), streams()
    expected = torch.empty_like(process)
    for image in range(2):
        for number in range(CELLS):
            cell = memory[image, number * SIZE:(number + 1) * SIZE]
            q, k, v = (linear(tokens, layer.weight, layer.bias) for layer, tokens in (
                (head.q, process[image, number]), (head.k, cell), (head.v, cell)))
            q, k, v = (tokens.unflatten(-1, (HEADS, -1)) for tokens in (q, k, v))
            for one in range(HEADS):
                weights = softmax(k[:, one] @ q[one] / math.sqrt(LATENT / HEADS), dim=0)
                expected[image, number].view(HEADS, -1)[one] = weights @ v[:, one]
    torch.testing.assert_close(head(target=process, source=memory), expected, atol=1e-12, rtol=1e-10)


def test_writing_gives_each_token_the_value_of_its_cell():
    head, (process, memory) = build(CellWriteHead), streams()
    expected = torch.stack([linear(process[:, number // SIZE], head.v.weight, head.v.bias)
                            for number in range(CELLS * SIZE)], dim=1)
    torch.testing.assert_close(head(target=memory, source=process), expected)


@pytest.mark.parametrize('grid,cells', [((4, 6), (2, 3)), ((4, 6), (4, 2)), ((6, 2), (1, 1)), ((3, 5), (3, 5))])
def test_the_order_of_cells(grid, cells):
    places = torch.cartesian_prod(*(torch.arange(side) for side in grid))  # the row and column of each token
    found = by_cell(places[None], grid, cells)[0]
    height, width = grid[0] // cells[0], grid[1] // cells[1]
    number = found[:, 0] // height * cells[1] + found[:, 1] // width
    assert number.tolist() == sorted(number.tolist())
    for one in range(math.prod(cells)):
        inside = found[number == one].tolist()
        assert len(inside) == height * width and inside == sorted(inside)
    torch.testing.assert_close(by_row(found[None], grid, cells)[0], places)


@pytest.mark.parametrize('memory_mlp_ratio', [None, 0.5])
@pytest.mark.parametrize('fusion', ['add', 'add_erase'])
@pytest.mark.parametrize('write_last', [True, False])
def test_no_parameter_is_dead(write_last, fusion, memory_mlp_ratio):
    encoder = encoder_of(fusion=fusion, memory_mlp_ratio=memory_mlp_ratio, write_last=write_last)
    process, memory = encoder(images())
    assert process.shape == (2, 4, 48) and (memory is None if not write_last else memory.shape == (2, 16, 48))
    assert_no_dead_parameters(encoder, (process, memory), least=1e-12)


def test_reading_and_writing_stay_in_the_cell():
    """A change in one corner stays there where process tokens do not mix; memory comes out in the order of rows."""
    encoder = encoder_of().eval()
    for block in encoder.blocks:
        nn.init.zeros_(block.encoder.attn.proj.weight)
    x = images(56, 84)
    changed = x.clone()
    changed[:, :, :14, 56:70] += 1.0  # the memory token of row 0, column 4, in the last cell of the first row of cells
    process, memory = ((one - other).abs().amax(2) > 1e-6 for one, other in zip(encoder(x), encoder(changed),
                                                                              strict=True))
    assert torch.equal(process[0].nonzero().flatten(), torch.tensor([2]))
    assert torch.equal(memory[0].view(4, 6).nonzero(), torch.tensor([[0, 4], [0, 5], [1, 4], [1, 5]]))


@pytest.mark.parametrize('size', [(56, 56), (28, 84), (60, 30)])
def test_any_size_and_recomputed_blocks(size):
    encoder, again = encoder_of(), encoder_of(with_cp=True).train()
    expected = encoder(images(*size))
    for one, other in zip(again(images(*size)), expected, strict=True):
        torch.testing.assert_close(one, other)
    assert expected[1].shape[1] == 4 * expected[0].shape[1] == -(-size[0] // 28) * -(-size[1] // 28) * 4


def test_compiles_and_exports():
    encoder, x = encoder_of().eval(), images()
    with torch.no_grad():
        expected = encoder(x)
        compiled = torch.compile(encoder, fullgraph=True, backend='aot_eager')(x)
        exported = torch.export.export(encoder, (x, )).module()(x)
    for found in (compiled, exported):
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('choice', [
    dict(process_patch_size=14), dict(process_patch_size=21), dict(process_patch_size=7, memory_patch_size=14),
    dict(process_init='downsample'), dict(process_init='latent')])
def test_patches_without_cells(choice):
    with pytest.raises(ValueError, match=r"'cell' needs process tokens of patches that hold several patches of the "
                                         r'memory, got .*; give process_init=.*multiple of memory_patch_size'):
        encoder_of(**choice)


def test_erasing_would_make_the_tokens_of_a_cell_the_same():
    with pytest.raises(ValueError, match="'cell' cannot work with fusion='erase', .*; give 'add' or 'add_erase'"):
        encoder_of(fusion='erase')


def test_cells_of_rectangular_patches():
    process, memory = encoder_of(process_patch_size=(28, 14))(images())
    assert process.shape[1] == 8 and memory.shape[1] == 16


def test_heads_that_latent_dims_do_not_fit():
    with pytest.raises(ValueError, match='latent_dims must be a positive multiple of num_heads = 4, got 10'):
        encoder_of(latent_dims=10)
