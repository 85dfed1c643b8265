"""Images of other than 3 bands of 8 bits through every tool: trained, tested, segmented, measured."""
import json

import numpy as np
import pytest
from PIL import Image
from rasters import save_raster
from spectral_tiles import draw_tile, write_spectral_config
from tool_runs import error_of, logged_scores, run_tool

rasterio = pytest.importorskip('rasterio', reason='the extra geo is not installed')
PLACE = dict(crs='EPSG:32632', transform=rasterio.transform.from_origin(500000, 5500000, 10, 10))
ITERATIONS = 150


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A config of 8 bands of 16 bits, and a checkpoint after a short training."""
    folder = tmp_path_factory.mktemp('bands')
    config = write_spectral_config(folder, 8, 'uint16', ITERATIONS)
    run_tool('train.py', config, '--work-dir', folder / 'work')
    return config, folder / 'work' / f'iter_{ITERATIONS}.pth', folder


def test_trained_and_tested(trained):
    config, checkpoint, folder = trained
    done = run_tool('test.py', config, checkpoint, '--work-dir', folder / 'test', '--show-dir', folder / 'shown')
    assert logged_scores(folder / 'test')['mIoU'] > 80, done.stdout[-1000:]
    pictures = sorted((folder / 'shown').rglob('*.png'))
    assert len(pictures) == 16 and np.asarray(Image.open(pictures[0])).std() > 20
    assert (folder / 'work' / 'pictures').is_dir()


def test_segmented_by_windows(trained):
    """A scene of the same spectra, larger than the tiles."""
    config, checkpoint, folder = trained
    image, labels = draw_tile(8, 'uint16', 99, (500, 700))
    image[:50] = 0
    save_raster(folder / 'scene.tif', image, nodata=0, **PLACE)
    done = run_tool('infer.py', config, checkpoint, folder / 'scene.tif', '-o', folder / 'out')
    with rasterio.open(folder / 'out/labels/scene.tif.tif') as raster:
        found = raster.read(1)
        assert raster.crs.to_epsg() == 32632 and raster.tags(1)['CLASS_1'] == 'wood'
    assert (found[:50] == 255).all() and (found[50:] == labels[50:]).mean() > 0.85
    assert '700 x 500 pixels by' in done.stdout and (folder / 'out/overlays/scene.tif.png').is_file()
    again = run_tool('infer.py', config, checkpoint, folder / 'scene.tif', '-o', folder / 'out', succeeds=False)
    assert 'scene.tif.tif: there already' in error_of(again) and '--overwrite' in error_of(again)


@pytest.mark.parametrize('arguments,words', [
    (('--tile', '64'), 'this one slides windows of (64, 64)'), (('--by-windows', 'foo'), 'invalid choice'),
    (('--tile', '0'), 'must be a whole number from 1')])
def test_wrong_options(trained, arguments, words):
    config, checkpoint, folder = trained
    done = run_tool('infer.py', config, checkpoint, folder / 'data/images/00.tif', '-o', folder / 'none', *arguments,
                    succeeds=False)
    assert done.returncode == 2 and words in done.stderr and not (folder / 'none').exists()


def test_another_number_of_bands(trained):
    config, checkpoint, folder = trained
    path = save_raster(folder / 'rgb.tif', draw_tile(3, 'uint16', 0)[0], **PLACE)
    done = run_tool('infer.py', config, checkpoint, path, '-o', folder / 'none', succeeds=False)
    assert 'rgb.tif: has 3 bands, the model takes 8' in error_of(done) and not (folder / 'none').exists()


def test_measured_and_checked(trained):
    config, checkpoint, folder = trained
    done = run_tool('check_dataset.py', config, '--workers', '1', '-o', folder / 'checked')
    assert '0 problems' in done.stdout or 'no problems' in done.stdout.lower(), done.stdout
    run_tool('benchmark.py', config, '--images', '2', '--warmup', '0', '--json', folder / 'speed.json')
    run_tool('benchmark.py', config, '--images', '1', '--warmup', '0', '--throughput', '--batch-size', '2')
    run_tool('benchmark.py', config, '--images', '1', '--warmup', '0', '--data-root', folder / 'data')
    run_tool('complexity.py', config, '--json', folder / 'cost.json')
    records = json.loads((folder / 'cost.json').read_text())
    assert all(record['gflops'] > 0 for record in records)


@pytest.mark.slow
@pytest.mark.parametrize('bands,kind', [(1, 'uint8'), (4, 'float32')])
def test_other_bands_and_types(tmp_path, bands, kind):
    config = write_spectral_config(tmp_path, bands, kind, ITERATIONS)
    run_tool('train.py', config, '--work-dir', tmp_path / 'work')
    checkpoint = tmp_path / 'work' / f'iter_{ITERATIONS}.pth'
    run_tool('test.py', config, checkpoint, '--work-dir', tmp_path / 'test')
    assert logged_scores(tmp_path / 'test')['mIoU'] > 70
    run_tool('infer.py', config, checkpoint, tmp_path / 'data/images', '-o', tmp_path / 'out')
    assert len(list((tmp_path / 'out/labels').iterdir())) == 16
    run_tool('benchmark.py', config, '--images', '1', '--warmup', '0')
    run_tool('complexity.py', config)
