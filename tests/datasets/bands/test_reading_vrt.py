"""A VRT names other files: those of a network are not fetched."""
import contextlib
import socket
import threading

import pytest
from rasters import drawn, save_raster

from mmseg_vittm.datasets.bands.reading import read_bands
from mmseg_vittm.errors import DataError

pytest.importorskip('rasterio', reason='the extra geo is not installed')


def vrt(path, source: str, relative: int) -> str:
    source = f'<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename><SourceBand>1</SourceBand>'
    path.write_text('<VRTDataset rasterXSize="30" rasterYSize="20"><VRTRasterBand dataType="Byte" band="1">'
                    f'<SimpleSource>{source}</SimpleSource></VRTRasterBand></VRTDataset>')
    return str(path)


def test_nothing_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv('GDAL_HTTP_TIMEOUT', '2')  # were it to try
    calls = []
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        server.listen()
        server.settimeout(3)

        def answer():
            with contextlib.suppress(OSError):
                calls.append(server.accept()[0].close())
        listener = threading.Thread(target=answer)
        listener.start()
        address = f'/vsicurl/http://127.0.0.1:{server.getsockname()[1]}/a.tif'
        with pytest.raises(DataError, match=r'a\.vrt: cannot be read as a raster'):
            read_bands(vrt(tmp_path / 'a.vrt', address, 0))
        listener.join()
    assert not calls


def test_files_beside_it_are_read(tmp_path):
    image = drawn(20, 30, 1)
    save_raster(tmp_path / 'a.tif', image)
    assert (read_bands(vrt(tmp_path / 'a.vrt', 'a.tif', 1)) == image).all()
