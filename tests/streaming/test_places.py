"""Places: what a machine and its reads look at before they are trained."""
import pytest
import torch
from tiny_streams import MEMORY

from mmseg_vittm.streaming import MachineMemory
from mmseg_vittm.streaming.frame import Frame
from mmseg_vittm.streaming.places import grid_of, places
from mmseg_vittm.streaming.tokens import PLACE_SHARE, add_squares, pooled, positions

CPU = torch.device('cpu')


def codes(grid: tuple[int, int], dims: int = 32) -> torch.Tensor:
    return positions(grid, dims, CPU, torch.float64).unflatten(0, grid)


def test_a_place_has_one_code_whatever_the_grid():
    torch.testing.assert_close(codes((3, 5))[1, 2], codes((9, 15))[4, 7])  # the middle of both
    torch.testing.assert_close(codes((2, 2))[0, 1], codes((6, 6))[1, 4])


def test_a_place_is_most_like_itself():
    flat = codes((7, 9)).flatten(0, 1)
    alike = flat @ flat.T
    assert (alike.argmax(dim=1) == torch.arange(63)).all()
    torch.testing.assert_close(alike.diagonal(), torch.full((63, ), 16.0, dtype=torch.float64))


@pytest.mark.parametrize('grid,factor', [((6, 8), 2), ((7, 9), 2), ((5, 4), 3), ((6, 8), 1)])
def test_pooling_averages_squares_and_what_is_added_goes_back_to_them(grid, factor):
    tokens = torch.randn(2, grid[0] * grid[1], 3, dtype=torch.float64)
    found, small = pooled(tokens, grid, factor)
    assert small == (-(-grid[0] // factor), -(-grid[1] // factor))
    cells = tokens.unflatten(1, grid)
    for row in range(small[0]):
        for column in range(small[1]):
            square = cells[:, row * factor:(row + 1) * factor, column * factor:(column + 1) * factor]
            torch.testing.assert_close(found[:, row * small[1] + column], square.mean(dim=(1, 2)))
    added = torch.randn_like(found)
    torch.testing.assert_close(pooled(add_squares(tokens, grid, added, 3.0, factor), grid, factor)[0],
                               found + 3 * added)
    same = add_squares(torch.zeros_like(tokens), grid, torch.ones_like(found), 3.0, factor)
    assert torch.equal(same, torch.full_like(tokens, 3.0))


@pytest.mark.parametrize('count', [1, 6, 48, 50])
def test_places_cover_a_frame(count):
    height, width = grid_of(count)
    assert height * width >= count > height * (width - 1) - height
    assert places(count, 16).shape == (count, 16)


def test_the_machine_begins_as_a_memory_of_places():
    """What is seen in a frame is remembered at its place, and fades where it is not seen again."""
    torch.manual_seed(0)
    memory = MachineMemory(**{key: value for key, value in MEMORY.items() if key != 'type'} | dict(
        embed_dims=128, num_memory_tokens=12, num_process_tokens=12, pool=(1, ), in_channels=(48, ), into=(0, )))
    grid = (6, 8)

    def frame(mark: float) -> Frame:
        tokens = torch.zeros(1, *grid, 48)
        tokens[:, :2, :2] = mark * torch.arange(48).sin()  # seen at the left, on top
        return Frame((tokens.flatten(1, 2), ), (grid, ), (), None)

    def kept(frames: list[Frame]) -> torch.Tensor:
        state = memory.begin(frames[0])
        for one in frames:
            with torch.no_grad():
                _, state = memory(one, state)
        return state['memory'][0]

    nothing = [frame(0)] * 20
    here, gone = (kept([*nothing, frame(1), *nothing[:count]]) - kept([*nothing, *nothing[:count + 1]])
                  for count in (0, 10))
    here, gone = (one.norm(dim=1).unflatten(0, grid_of(12)) for one in (here, gone))
    assert divmod(int(here.argmax()), here.shape[1]) == (0, 0)
    assert here[0, 0] > 5 * here[-1, -1]
    assert 0.05 * here[0, 0] < gone[0, 0] < 0.8 * here[0, 0]
    room = 128 // PLACE_SHARE
    assert torch.equal(memory.inputs.projs[0].weight[-room:], torch.zeros(room, 48))
