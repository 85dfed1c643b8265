"""A VRT names other files: those of a network are not fetched."""
import contextlib
import socket
import threading
from xml.sax.saxutils import escape

import pytest
from rasters import drawn, save_raster

from mmseg_vittm.datasets.bands import reading
from mmseg_vittm.datasets.bands.reading import read_bands
from mmseg_vittm.errors import DataError

pytest.importorskip('rasterio', reason='the extra geo is not installed')


WMS = ('<GDAL_WMS><Service name="TMS"><ServerUrl>{}/${{x}}.png</ServerUrl></Service><DataWindow><UpperLeftX>0'
       '</UpperLeftX><UpperLeftY>0</UpperLeftY><LowerRightX>30</LowerRightX><LowerRightY>20</LowerRightY><TileLevel>0'
       '</TileLevel><SizeX>30</SizeX><SizeY>20</SizeY></DataWindow><BandsCount>1</BandsCount></GDAL_WMS>')


def vrt(path, source: str, relative: int = 0) -> str:
    source = f'<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename><SourceBand>1</SourceBand>'
    path.write_text('<VRTDataset rasterXSize="30" rasterYSize="20"><VRTRasterBand dataType="Byte" band="1">'
                    f'<SimpleSource>{source}</SimpleSource></VRTRasterBand></VRTDataset>')
    return str(path)


@contextlib.contextmanager
def server():
    """Yields the address of a server, and a list that gets an entry for each connection."""
    calls, listening = [], socket.socket()
    listening.bind(('127.0.0.1', 0))
    listening.listen()

    def answer():
        with contextlib.suppress(OSError):
            while True:
                connection = listening.accept()[0]
                calls.append(1)
                connection.close()
    listener = threading.Thread(target=answer, daemon=True)
    listener.start()
    try:
        yield f'127.0.0.1:{listening.getsockname()[1]}', calls
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        listener.join()


@pytest.mark.parametrize('source', ['http://{}/a.tif', '/vsicurl/http://{}/a.tif', '/vsicurl/http://{}/e.none',
                                    '/vsicurl_streaming/http://{}/e.none', 'WMS:http://{}/?', 'inline', 'beside'])
@pytest.mark.parametrize('checks', [True, False])
def test_nothing_is_fetched(tmp_path, monkeypatch, source, checks):
    monkeypatch.setenv('GDAL_HTTP_TIMEOUT', '2')  # were it to try
    if not checks:  # what GDAL itself is told holds without them
        monkeypatch.setattr(reading, 'check_local', lambda path: None)
    with server() as (address, calls):
        service = WMS.format(f'http://{address}')
        (tmp_path / 'service.tif').write_text(service)
        given = dict(inline=escape(service), beside=str(tmp_path / 'service.tif')).get(source, source.format(address))
        with pytest.raises(DataError) if checks else contextlib.suppress(DataError):
            read_bands(vrt(tmp_path / 'a.vrt', given))
    assert not calls


def test_it_would_be_fetched_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, 'check_local', lambda path: None)
    monkeypatch.setattr(reading, 'NO_NETWORK', dict(GDAL_HTTP_TIMEOUT='2'))
    with server() as (address, calls), pytest.raises(DataError):
        read_bands(vrt(tmp_path / 'a.vrt', f'/vsicurl/http://{address}/a.tif'))
    assert calls


@pytest.mark.parametrize('source,message', [
    ('http://host/a.tif', r'its source http://host/a.tif is no file on this machine'),
    ('/vsizip/a.zip/a.tif', 'is no file on this machine'), ('a.vrt', '8 VRTs name each other'),
    ('service.tif', r'service\.tif: is a text, and no VRT'), ('stac.tif', r'stac\.tif: is a text')])
def test_what_a_vrt_may_not_name(tmp_path, source, message):
    (tmp_path / 'service.tif').write_text(WMS.format('http://host'))
    (tmp_path / 'stac.tif').write_text('{"stac_extensions": ["https://stac/raster"]}')
    with pytest.raises(DataError, match=message):
        read_bands(vrt(tmp_path / 'a.vrt', source, 1))


def test_a_service_is_no_image(tmp_path):
    (tmp_path / 'a.tif').write_text(WMS.format('http://host'))
    with pytest.raises(DataError, match=r'a\.tif: is a text, and no VRT; give the image itself'):
        read_bands(tmp_path / 'a.tif')
    (tmp_path / 'b.vrt').write_text('<VRTDataset rasterXSize="30"')
    with pytest.raises(DataError, match=r'b\.vrt: cannot be read as a VRT'):
        read_bands(tmp_path / 'b.vrt')


def test_a_source_as_an_attribute(tmp_path):
    (tmp_path / 'a.vrt').write_text(
        '<?xml version="1.0"?><VRTDataset rasterXSize="30" rasterYSize="20"><VRTRasterBand dataType="Byte" band="1">'
        '<SimpleSource sourcefilename="http://host/a.tif" SourceBand="1"/></VRTRasterBand></VRTDataset>')
    with pytest.raises(DataError, match='is no file on this machine'):
        read_bands(tmp_path / 'a.vrt')


def test_files_beside_it_are_read(tmp_path):
    image = drawn(20, 30, 1)
    save_raster(tmp_path / 'a.tif', image)
    vrt(tmp_path / 'a.vrt', 'a.tif', 1)
    assert (read_bands(tmp_path / 'a.vrt') == image).all()
    assert (read_bands(vrt(tmp_path / 'b.vrt', 'a.vrt', 1)) == image).all()
    assert (read_bands(vrt(tmp_path / 'c.vrt', str(tmp_path / 'a.tif'))) == image).all()
