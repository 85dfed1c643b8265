"""Data in odd places, under odd names, through links: read all the same, and never written over."""
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from own_sets import (
    COLOURS,
    NAMES,
    SIZE,
    check_config,
    image_of,
    labels_of,
    make,
    save,
    truths,
    write_coco,
    write_folders,
)
from PIL import Image
from rasters import save_raster

from mmseg_vittm.errors import InputError

ABC = ','.join(NAMES)


@pytest.mark.parametrize('kind', ['lists', 'classes', 'polygons', 'the folder', 'labels'])
def test_what_is_read_is_never_written(tmp_path, kind):
    """Not even with overwrite=True."""
    root, wishes = write_folders(tmp_path / 'set', splits=()), dict(classes=ABC)
    (tmp_path / 'mine').mkdir()
    for split, names in (('train', range(4)), ('val', (4, 5))):
        (tmp_path / 'mine' / f'{split}.txt').write_text(''.join(f'frame_{number:03d}\n' for number in names))
    images, labels = root / 'images', root / 'labels'
    if kind == 'lists':
        wishes['lists'] = tuple((split, str(tmp_path / 'mine' / f'{split}.txt')) for split in ('train', 'val'))
    elif kind == 'classes':
        (tmp_path / 'mine.py').write_text('sky\ntree\nroad\n')
        wishes['classes'] = str(tmp_path / 'mine.py')
    elif kind == 'polygons':
        pytest.importorskip('pycocotools')
        images, labels = tmp_path / 'coco/images', tmp_path / 'mine.py'
        wishes = dict(zero='background')
        write_coco(tmp_path / 'coco').rename(labels)
    elif kind == 'the folder':
        images, labels = shutil.copytree(root, tmp_path / 'mine', dirs_exist_ok=True), None
    else:
        for path in labels.rglob('*.png'):
            save(path, COLOURS[np.asarray(Image.open(path))])
        (tmp_path / 'classes.txt').write_text(''.join(
            f'{name} {r} {g} {b}\n' for name, (r, g, b) in zip(NAMES, COLOURS, strict=True)))
        wishes['classes'] = str(tmp_path / 'classes.txt')
        (root / 'labels_index').symlink_to(root / 'labels')
    before = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
    with pytest.raises(InputError, match='is an input, and|would write among the data'):
        make(tmp_path, images, labels, overwrite=True, **wishes)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}


def write_lists(root: Path, **splits) -> None:
    """VOC's lists, of the numbers of frames."""
    lists = root / 'ImageSets/Segmentation'
    lists.mkdir(parents=True)
    for split, names in splits.items():
        (lists / f'{split}.txt').write_text(''.join(f'frame_{number:03d}\n' for number in names))


def test_links_to_files_elsewhere(tmp_path, mmseg_scope):
    """Images and labels may be links: of a folder, or file by file, as VOC's JPEGImages often are."""
    root = write_folders(tmp_path / 'store', splits=())
    for kind, folder in (('images', 'JPEGImages'), ('labels', 'SegmentationClass')):
        (tmp_path / 'voc' / folder).mkdir(parents=True)
        for file in (root / kind).iterdir():
            (tmp_path / 'voc' / folder / file.name).symlink_to(file)
    (tmp_path / 'voc/classes.txt').write_text('\n'.join(NAMES))
    write_lists(tmp_path / 'voc', train=range(4), val=(4, 5))
    make(tmp_path, tmp_path / 'voc')
    check_config(tmp_path / 'mine.py')
    for path in (root / 'labels').iterdir():
        save(path, np.asarray(Image.open(path)).astype(np.uint16))
    make(tmp_path, tmp_path / 'voc', overwrite=True)
    check_config(tmp_path / 'mine.py')
    assert len(list((tmp_path / 'voc/SegmentationClass_index').iterdir())) == 6
    (tmp_path / 'far').symlink_to(tmp_path / 'voc')
    make(tmp_path, tmp_path / 'far/JPEGImages', tmp_path / 'voc/SegmentationClass', classes=ABC, overwrite=True)
    check_config(tmp_path / 'mine.py')


def test_a_test_list_of_voc_without_labels(tmp_path, mmseg_scope):
    root = write_folders(tmp_path / 'set', splits=(), images='JPEGImages', labels='SegmentationClass')
    write_lists(root, train=range(3), val=(3, 4), test=(5, 77))
    assert list(make(tmp_path, root, classes=ABC).pairs) == ['train', 'val']
    assert 'lists images without label' in (tmp_path / 'mine/report.html').read_text()


def test_the_folder_that_one_is_in(tmp_path, mmseg_scope, monkeypatch):
    root = write_folders(tmp_path / 'set', change=lambda labels: labels.astype(np.uint16))
    monkeypatch.chdir(root)
    make(tmp_path, Path('.'), classes=ABC)
    check_config(tmp_path / 'mine.py')
    monkeypatch.chdir(root / 'labels')
    make(tmp_path, Path('../images'), Path('.'), classes=ABC, overwrite=True)
    check_config(tmp_path / 'mine.py')


def without_sizes(path: Path, ending: str) -> None:
    """Takes the sizes from a JSON file of polygons, and gives its images another ending."""
    content = json.loads(path.read_text())
    for one in content['images']:
        del one['height'], one['width']
        one['file_name'] = str(Path(one['file_name']).with_suffix(ending))
    path.write_text(json.dumps(content))


def test_polygons_on_pictures_of_a_turned_camera(tmp_path, mmseg_scope):
    """Their size is that of the picture as it is shown, which a JSON file without sizes leaves to the file."""
    pytest.importorskip('pycocotools')
    without_sizes(write_coco(tmp_path / 'set', whole=True), '.jpg')
    for file in (tmp_path / 'set/images').iterdir():
        picture = Image.open(file)
        exif = picture.getexif()
        exif[274] = 6  # turned by 90 degrees
        picture.transpose(Image.Transpose.ROTATE_90).save(file.with_suffix('.jpg'), exif=exif)
        file.unlink()
    make(tmp_path, tmp_path / 'set')
    found = truths(tmp_path / 'mine.py')
    assert found and all(labels.shape == SIZE for labels in found.values())


def test_polygons_on_many_bands(tmp_path):
    pytest.importorskip('pycocotools')
    pytest.importorskip('rasterio')
    without_sizes(write_coco(tmp_path / 'set', whole=True), '.tif')
    for file in (tmp_path / 'set/images').iterdir():
        save_raster(file.with_suffix('.tif'), np.repeat(image_of(int(file.stem))[..., :1], 8, 2).astype(np.uint16))
        file.unlink()
    summary = make(tmp_path, tmp_path / 'set')
    assert summary.bands == 8 and summary.sizes['train'][0] == SIZE


def test_labels_that_no_file_of_8_bits_has(tmp_path, mmseg_scope):
    root = write_folders(tmp_path / 'set')
    make(tmp_path, root, classes=ABC, void=(300, 9))
    check_config(tmp_path / 'mine.py')
    with pytest.raises(InputError, match='road has label 300, labels of 8 bits go up to 255'):
        make(tmp_path / 'other', root, classes='0:sky,1:tree,300:road', void=(2, ))
    assert not (tmp_path / 'other').exists()


def test_a_name_that_is_no_text(tmp_path, mmseg_scope):
    root = write_folders(tmp_path / 'set')
    for kind in ('images', 'labels'):
        file = root / kind / 'val/frame_005.png'
        try:
            os.rename(file, os.fsencode(file.parent) + b'/frame_005_\xff.png')
        except OSError:
            pytest.skip('this file system takes names of UTF-8 alone')
    make(tmp_path, root, classes=ABC)
    assert len(truths(tmp_path / 'mine.py')) == 3
    assert r'frame_005_\xff.png' in (tmp_path / 'mine/report.html').read_text()


@pytest.mark.parametrize('folder', ["it's", 'a"b', 'back\\slash', '{{ fileDirname }}', "'" * 3 + ' + x'])
def test_folders_of_odd_names(tmp_path, mmseg_scope, folder):
    root = write_folders(tmp_path / folder / 'set')
    make(tmp_path / folder, root, classes=ABC)
    check_config(tmp_path / folder / 'mine.py')


@pytest.mark.parametrize('mark', ['\u2028', '\x85', '\x0b', '\x1c'])
def test_names_with_odd_ends_of_lines(tmp_path, mmseg_scope, mark):
    name = f'{{}}_{mark}.png'
    root = write_folders(tmp_path / 'set', splits=(), image_name=name, label_name=name)
    (tmp_path / 'val.txt').write_text(f'frame_001_{mark}.png\n', encoding='utf-8')
    summary = make(tmp_path, root, classes=ABC, lists=(('val', str(tmp_path / 'val.txt')), ))
    assert len(summary.pairs['val']) == 1 and len(summary.pairs['train']) == 5
    check_config(tmp_path / 'mine.py')


def test_a_config_by_way_of_a_link_into_the_project(tmp_path):
    """Its bases are found, though relative paths lead elsewhere from there."""
    from tiny_models import ROOT
    (tmp_path / 'linked').symlink_to(ROOT / 'configs')
    from mmseg_vittm.commands.new_dataset.config_text import _base
    base = ROOT / 'configs/_base_/models/segmenter_vittm.py'
    assert Path(_base(base, tmp_path / 'linked/mine.py')).is_absolute()
    assert _base(base, ROOT / 'configs/mine.py') == '_base_/models/segmenter_vittm.py'


def test_images_of_their_own_scale(tmp_path):
    """Where pixels are read as bands, images of mixed sizes are not brought to one."""
    root = write_folders(tmp_path / 'set')
    for number, path in enumerate(sorted((root / 'images').rglob('*.png'))):
        large = np.ones((1 + number % 2 * 3, ) * 2, np.uint8)
        save(path, np.kron(image_of(number)[..., 0].astype(np.uint16) * 9, large))
        save(root / 'labels' / path.relative_to(root / 'images'), np.kron(labels_of(number), large))
    make(tmp_path, root, classes=ABC)
    cfg = Config.fromfile(str(tmp_path / 'mine.py'))
    steps = [step.type for step in cfg.train_pipeline]
    assert 'RandomRescale' in steps and 'RandomResize' not in steps and 'scale' not in cfg
    assert 'Resize' not in [step.type for step in cfg.test_pipeline]
