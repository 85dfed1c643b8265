"""Crop, scale, batch and iterations follow from the data."""
import pytest

from mmseg_vittm.commands.new_dataset.budgets import BUDGETS, settings_for


@pytest.mark.parametrize('budget', BUDGETS.values())
@pytest.mark.parametrize('sizes', [[(360, 480)], [(60, 90)], [(1080, 1920)], [(4000, 3000), (300, 5000), (512, 512)],
                                   [(20, 20)], [(2048, 64)]])
@pytest.mark.parametrize('images', [2, 367, 20_000])
@pytest.mark.parametrize('keep', [True, False])
def test_everything_fits(budget, sizes, images, keep):
    found = settings_for(budget, sizes, images, keep)
    for side, step in zip(found.crop, found.stride, strict=True):
        assert side % budget.tokens == 0 and 0 < step <= side <= max(budget.crop, budget.tokens)
        assert keep or side <= max(found.scale[1], budget.tokens)
    assert found.scale is None if keep else 0 < found.scale[1] <= min(found.scale[0], budget.short_side)
    assert budget.least <= found.iterations <= budget.most and found.interval * 5 <= max(found.iterations, 500)
    assert 1 <= found.batch <= budget.batch and found.warm_up < found.iterations
    assert not (keep and found.is_scaled)


def test_camvid():
    found = settings_for(BUDGETS['cpu'], [(360, 480)] * 367, 367, False)
    assert (found.scale, found.is_scaled, found.crop, found.stride) == ((480, 360), False, (192, 192), (128, 128))
    assert (found.iterations, found.batch) == (2800, 8)


def test_large_photographs_are_scaled():
    found = settings_for(BUDGETS['base'], [(3000, 4000)], 5000, False)
    assert found.scale == (683, 512) and found.is_scaled and found.crop == (512, 512)
    assert found.iterations == 5000 * 120 // 16


def test_more_images_are_seen_longer():
    iterations = [settings_for(BUDGETS['cpu'], [(360, 480)], images, False).iterations for images in (10, 300, 5000)]
    assert iterations == sorted(iterations) and iterations[0] == 400 and iterations[2] == 4000
