"""The histogram of classes, as a table and as a picture."""
import numpy as np
import pytest

from mmseg_vittm.datasets.class_histogram import histogram_files, histogram_table


@pytest.mark.parametrize('count', [1, 150])
def test_histogram_of_any_number_of_classes(count):
    classes = [f'class [number] {i}' for i in range(count)]
    pixels = np.arange(count) ** 3
    files = histogram_files(classes, pixels, np.arange(count), 'a [title] $x$')
    assert files['png'].startswith(b'\x89PNG') and files['svg'].count(b'class [number]') == count
    table = histogram_table(classes, pixels, {'train': np.arange(count)}, 3)
    assert table.row_count == count + 1
