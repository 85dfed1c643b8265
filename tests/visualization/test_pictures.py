"""Pictures of segmentations, pixel by pixel."""
import numpy as np
import pytest

from mmseg_vittm.visualization.pictures import MARGIN, add_legend, colourise, enlarge, overlay, panels

PALETTE = [[200, 0, 0], [0, 100, 0], [0, 0, 50]]
LABELS = np.array([[0, 1, 2], [255, 2, 2]], np.uint8)


def test_colourise_takes_the_palette_and_black_where_ignored():
    picture = colourise(LABELS, PALETTE)
    assert picture.dtype == np.uint8
    assert picture.tolist() == [[[200, 0, 0], [0, 100, 0], [0, 0, 50]], [[0, 0, 0], [0, 0, 50], [0, 0, 50]]]


@pytest.mark.parametrize('kind', [np.uint8, np.int32, np.int64])
@pytest.mark.parametrize('count', [150, 255, 256, 300])
def test_colourise_with_many_classes(count, kind):
    palette = [[n % 256, n // 256, 7] for n in range(count)]
    labels = np.array([[0, 149]], kind)
    assert colourise(labels, palette).tolist() == [[[0, 0, 7], [149, 0, 7]]]


@pytest.mark.parametrize('opacity', [0.0, 0.3, 1.0])
def test_overlay_blends(opacity):
    image = np.random.default_rng(0).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    expected = np.round(image * (1 - opacity) + colourise(LABELS, PALETTE) * opacity)
    picture = overlay(image, LABELS, PALETTE, opacity)
    assert picture.dtype == np.uint8 and np.array_equal(picture, expected)
    assert np.array_equal(overlay(image, LABELS, PALETTE, 0.0), image)


def swatches(picture: np.ndarray, left: int) -> dict:
    """The colours right of a column, each with the (row, column) of its first pixel."""
    legend = picture[:, left:].reshape(-1, 3)
    return {tuple(int(c) for c in colour): divmod(int(np.argmax((legend == colour).all(1))), picture.shape[1] - left)
            for colour in np.unique(legend, axis=0)}


def test_legend_lists_the_classes_seen_largest_first():
    image = np.full((120, 90, 3), 30, np.uint8)
    labels = np.full((120, 90), 2)
    labels[:30], labels[30:40] = 0, 255
    picture = add_legend(image, labels, ['a', 'b', 'c'], PALETTE)
    assert picture.shape[0] == 120 and picture.shape[1] > 90
    assert np.array_equal(picture[:120, :90], image)
    found = swatches(picture, 90)
    assert found[0, 0, 50][0] < found[200, 0, 0][0]  # class 2 is larger
    assert (0, 100, 0) not in found  # class 1 is not seen


def test_legend_of_many_classes_stands_in_columns():
    count = 60
    palette = [[100 + n, 2 * n, 255 - n] for n in range(count)]
    labels = np.repeat(np.arange(count), 160).reshape(96, 100)
    picture = add_legend(np.zeros((96, 100, 3), np.uint8), labels, [f'class {n}' for n in range(count)], palette)
    found = swatches(picture, 100)
    places = [found[tuple(colour)] for colour in palette]  # every one is there
    columns = sorted({column for _, column in places})
    assert len(columns) > 1 and len(set(places)) == count
    assert places == sorted(places, key=lambda place: (place[1], place[0]))  # read column by column
    assert len({row for row, _ in places}) == -(-count // len(columns))
    assert picture.shape[0] < 300  # not one long column


@pytest.mark.parametrize('labels', [np.full((20, 20), 255, np.uint8), np.full((20, 20), 7)])
def test_legend_where_no_class_is_seen(labels):
    image = np.zeros((20, 20, 3), np.uint8)
    assert np.array_equal(add_legend(image, labels, ['a', 'b', 'c'], PALETTE)[:20, :20], image)


def test_panels_stand_in_rows_and_columns():
    red, blue = np.zeros((40, 60, 3), np.uint8), np.zeros((80, 30, 3), np.uint8)
    red[:], blue[:] = (255, 0, 0), (0, 0, 255)
    picture = panels([[red, blue], [blue, red]], ['one', 'two'])
    assert picture.shape[1] == 60 + 60 + 3 * MARGIN  # both columns are as wide as red

    def box(colour, rows):
        ys, xs = np.nonzero((picture[rows] == colour).all(-1))
        return int(ys.min()), int(xs.min()), int(ys.max() - ys.min() + 1), int(xs.max() - xs.min() + 1)

    top = picture.shape[0] - 80 - 80 - 2 * MARGIN  # both rows are as high as blue
    first, second = slice(top, top + 80), slice(top + 80 + MARGIN, top + 160 + MARGIN)
    assert box((255, 0, 0), first) == (0, MARGIN, 40, 60)
    assert box((0, 0, 255), first) == (0, 60 + 2 * MARGIN, 80, 30)
    assert box((0, 0, 255), second) == (0, MARGIN, 80, 30)
    assert box((255, 0, 0), second) == (0, 60 + 2 * MARGIN, 40, 60)
    assert (picture[:top] < 128).any()  # titles


def test_small_pictures_are_enlarged():
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    large = enlarge(picture, 7)
    assert large.shape == (6, 9, 3) and np.array_equal(large[::3, ::3], picture)
    assert np.array_equal(enlarge(large, 6), large)
