"""What a look at an image and its label says."""
import numpy as np
import pytest
from own_sets import SIZE, image_of, labels_of, save
from PIL import Image

from mmseg_vittm.commands.new_dataset.label_files import COLOUR, DEEP, GREY, INDEX, counted, read_label
from mmseg_vittm.commands.new_dataset.looking import edge_ratio, look_at
from mmseg_vittm.commands.new_dataset.pairs import Pair
from mmseg_vittm.datasets.bands.load_bands import LoadBands
from mmseg_vittm.datasets.bands.reading import read_preview
from mmseg_vittm.errors import DataError


def test_edges_tell_labels_that_lie_elsewhere():
    """Borders of labels lie on those of the image; shifted ones do not."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[20:44, 20:44] = 200
    labels = (image[..., 0] > 0).astype(np.uint8)
    assert edge_ratio(image, labels) > 5
    assert edge_ratio(image, np.roll(labels, 15, axis=(0, 1))) < 1.5
    assert edge_ratio(image, np.zeros_like(labels)) is None and edge_ratio(image * 0, labels) is None
    large = np.repeat(np.repeat(image, 9, 0), 9, 1)
    assert edge_ratio(large, np.repeat(np.repeat(labels, 9, 0), 9, 1)) > 5


def test_sums(tmp_path):
    image, label = save(tmp_path / 'a.png', image_of(3)), save(tmp_path / 'b.png', labels_of(3))
    look = look_at(Pair(image, label), None, '')
    pixels = image_of(3).reshape(-1, 3).astype(float)
    assert look.sums == pytest.approx(np.stack([np.full(3, len(pixels)), pixels.sum(0), (pixels**2).sum(0)]))
    assert (look.size, look.bands, look.dtype, look.kind) == (SIZE, 3, 'uint8', INDEX)
    assert look.counts == {number: int((labels_of(3) == number).sum()) for number in range(3)}


@pytest.mark.parametrize('no_data', [7, None])
def test_pixels_without_data_do_not_count(tmp_path, no_data):
    rasterio = pytest.importorskip('rasterio')
    pixels = np.full((2, *SIZE), 100, np.uint16)
    pixels[:, :6] = 7
    with rasterio.open(tmp_path / 'a.tif', 'w', driver='GTiff', count=2, height=SIZE[0], width=SIZE[1], dtype='uint16',
                       nodata=no_data) as file:
        file.write(pixels)
    look = look_at(Pair(tmp_path / 'a.tif', save(tmp_path / 'b.png', labels_of(3))), None, '')
    kept = pixels[0][pixels[0] != 7].astype(float) if no_data else pixels[0].astype(float)
    assert look.sums[:, 1] == pytest.approx([kept.size, kept.sum(), (kept**2).sum()])
    assert (look.bands, look.dtype) == (2, 'uint16')


def test_no_data_of_a_vrt_is_that_of_its_file(tmp_path):
    """-9999.9 is no float32; the pixels are the next one, and are no data still: in mean, pictures and borders."""
    rasterio = pytest.importorskip('rasterio')
    labels = labels_of(3)
    pixels = np.stack([labels * 50.0 + 10] * 2).astype(np.float32)
    pixels[:, :, :6] = -9999.9
    with rasterio.open(tmp_path / 'a.tif', 'w', driver='GTiff', count=2, height=SIZE[0], width=SIZE[1],
                       dtype='float32') as file:
        file.write(pixels)
    bands = ''.join(f'<VRTRasterBand dataType="Float32" band="{band}"><NoDataValue>-9999.9</NoDataValue><SimpleSource>'
                    f'<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>{band}</SourceBand>'
                    '</SimpleSource></VRTRasterBand>' for band in (1, 2))
    (tmp_path / 'a.vrt').write_text(f'<VRTDataset rasterXSize="{SIZE[1]}" rasterYSize="{SIZE[0]}">{bands}</VRTDataset>')
    look = look_at(Pair(tmp_path / 'a.vrt', save(tmp_path / 'b.png', labels)), None, '')
    kept = pixels[0, :, 6:].astype(float)
    assert look.has_gaps and look.sums[:, 1] == pytest.approx([kept.size, kept.sum(), (kept**2).sum()])
    assert look.edges > 3
    assert (LoadBands(fill=7)(dict(img_path=tmp_path / 'a.vrt'))['img'][:, :6] == 7).all()
    assert len(np.unique(read_preview(tmp_path / 'a.vrt')[:, 6:])) == 3


@pytest.mark.parametrize('array,mode,kind', [
    (labels_of(1), None, INDEX), (labels_of(1), 'P', INDEX), (labels_of(1).astype(bool), None, INDEX),
    (labels_of(1).astype(np.uint16), None, DEEP), (np.dstack([labels_of(1)] * 2), 'LA', DEEP),
    (np.dstack([labels_of(1)] * 3), None, GREY), (np.dstack([labels_of(1), labels_of(2), labels_of(3)]), None, COLOUR)])
@pytest.mark.parametrize('ending', ['.png', '.tif'])
def test_kinds_of_label_files(tmp_path, array, mode, kind, ending):
    image = Image.fromarray(array, mode) if mode else Image.fromarray(array)
    if mode == 'P':
        image.putpalette(list(range(12)))
    image.save(tmp_path / f'a{ending}')
    found = read_label(tmp_path / f'a{ending}')
    first = array.astype(np.int64) if array.ndim == 2 else array[..., 0].astype(np.int64)
    expected = first if kind != COLOUR else first << 16 | array[..., 1].astype(np.int64) << 8 | array[..., 2]
    assert found.kind == kind and (found.labels == expected).all()
    values, counts = np.unique(expected, return_counts=True)
    assert counted(found, 'a') == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert (found.palette is not None) == (mode == 'P')
    if mode == 'P':
        assert found.palette[1].tolist() == [3, 4, 5]


def test_transparent_pixels_are_void(tmp_path):
    array = np.zeros((*SIZE, 4), np.uint8)
    array[:3], array[3:, :, 1:] = 255, 255
    array[5, 5] = 9, 8, 7, 0
    Image.fromarray(array).save(tmp_path / 'a.png')
    found = read_label(tmp_path / 'a.png')
    assert found.labels[5, 5] == -1 and found.labels[0, 0] == 0xffffff and found.labels[4, 4] == 0x00ffff


@pytest.mark.parametrize('content,message', [(b'', r'a\.png'), (b'GIF89a', 'cannot be read as labels'),
                                             (b'\xff\xd8\xff', 'a JPEG')])
def test_files_that_are_no_labels(tmp_path, content, message):
    (tmp_path / 'a.png').write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_label(tmp_path / 'a.png')
    with pytest.raises(DataError, match='no such file'):
        read_label(tmp_path / 'none.png')


def test_a_photograph_is_no_label(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    Image.fromarray(array).save(tmp_path / 'a.png')
    with pytest.raises(DataError, match='different colours: this is no label'):
        counted(read_label(tmp_path / 'a.png'), 'a.png')
