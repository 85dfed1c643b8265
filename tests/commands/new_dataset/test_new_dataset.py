"""From folders to a config: every layout is found, every bad input one line, nothing is overwritten."""
import json
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

from mmseg_vittm.commands.new_dataset.class_lists import ClassEntry
from mmseg_vittm.commands.new_dataset.new_dataset import FaultsFound
from mmseg_vittm.datasets.paired import read_pairs
from mmseg_vittm.errors import InputError

ABC = ','.join(NAMES)


@pytest.mark.parametrize('images,labels', [('images', 'annotations'), ('img_dir', 'ann_dir'), ('imgs', 'masks')])
def test_folders_with_splits(tmp_path, mmseg_scope, images, labels):
    root = write_folders(tmp_path / 'set', splits=('train', 'val', 'test'), images=images, labels=labels)
    summary = make(tmp_path, root, classes=ABC)
    assert {split: len(pairs) for split, pairs in summary.pairs.items()} == dict(train=2, val=2, test=2)
    check_config(tmp_path / 'mine.py')
    check_config(tmp_path / 'mine.py', 'test')
    assert summary.pixels.sum() == 2 * SIZE[0] * SIZE[1] and summary.classes == NAMES
    report = (tmp_path / 'mine/report.html').read_text()
    assert 'src="http' not in report and 'href=' not in report and report.count('<img') == 6 and 'sky' in report


def test_two_folders_and_a_seeded_share(tmp_path, mmseg_scope):
    root = write_folders(tmp_path / 'set', count=10, splits=())
    summary = make(tmp_path, root / 'images', root / 'labels', classes=ABC, val_share=0.3, seed=1)
    assert len(summary.pairs['val']) == 3 and len(summary.pairs['train']) == 7
    assert not set(summary.pairs['val']) & set(summary.pairs['train'])
    first = (tmp_path / 'mine/val.txt').read_text()
    again = make(tmp_path, root / 'images', root / 'labels', classes=ABC, val_share=0.3, seed=1, overwrite=True)
    assert again.pairs == summary.pairs and (tmp_path / 'mine/val.txt').read_text() == first
    other = make(tmp_path, root / 'images', root / 'labels', classes=ABC, val_share=0.3, seed=2, overwrite=True)
    assert other.pairs != summary.pairs
    check_config(tmp_path / 'mine.py')


def test_train_and_val_first(tmp_path, mmseg_scope):
    root = write_folders(tmp_path / 'set', splits=())
    for split, names in (('train', range(4)), ('valid', range(4, 6))):
        for kind, folder in (('images', 'images'), ('labels', 'masks')):
            (root / split / folder).mkdir(parents=True)
            for number in names:
                shutil.move(root / kind / f'frame_{number:03d}.png', root / split / folder)
    shutil.rmtree(root / 'images')
    shutil.rmtree(root / 'labels')
    assert len(make(tmp_path, root, classes=ABC).pairs['val']) == 2
    check_config(tmp_path / 'mine.py')


@pytest.mark.parametrize('image,label', [('{}_sat.png', '{}_mask.png'), ('{}.png', '{}-label.png'),
                                         ('{}_leftImg8bit.png', '{}_gtFine_labelIds.png'), ('{}.bmp', '{}.png')])
def test_names_that_end_differently(tmp_path, mmseg_scope, image, label):
    root = write_folders(tmp_path / 'set', image_name=image, label_name=label)
    make(tmp_path, root, classes=ABC)
    check_config(tmp_path / 'mine.py')


def test_cityscapes(tmp_path, mmseg_scope):
    def ids(labels):
        return np.array([7, 11, 4], np.uint8)[labels]  # road, building, and a label that is not scored
    root = write_folders(tmp_path / 'set', images='leftImg8bit', labels='gtFine', splits=('train/a', 'val/b'),
                         image_name='{}_leftImg8bit.png', label_name='{}_gtFine_labelIds.png', change=ids)
    save(root / 'gtFine/train/a/frame_000_gtFine_instanceIds.png', np.zeros((3, 3), np.uint8))
    summary = make(tmp_path, root)
    assert len(summary.classes) == 19 and summary.classes[0] == 'road' and summary.palette[0] == (128, 64, 128)
    found = truths(tmp_path / 'mine.py')
    assert all((labels == np.array([0, 2, 255])[labels_of(int(name.split('_')[1]))]).all()
               for name, labels in found.items()) and len(found) == 3


def test_voc(tmp_path, mmseg_scope):
    root = write_folders(tmp_path / 'set', images='JPEGImages', labels='SegmentationClass', splits=())
    save(root / 'JPEGImages/frame_100.png', image_of(100))  # of detection alone, without label
    lists = root / 'ImageSets/Segmentation'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('frame_000\nframe_001\nframe_002\nframe_003\n')
    (lists / 'val.txt').write_text('frame_004\nframe_005\n')
    summary = make(tmp_path, root)
    assert summary.classes[:2] == ['background', 'aeroplane'] and len(summary.classes) == 21
    assert [len(summary.pairs[split]) for split in ('train', 'val')] == [4, 2]
    check_config(tmp_path / 'mine.py')


def test_masks_of_cvat(tmp_path, mmseg_scope):
    root = write_folders(tmp_path / 'set', images='JPEGImages', labels='SegmentationClass', splits=(),
                         change=lambda labels: COLOURS[labels])
    (root / 'labelmap.txt').write_text('# label:color_rgb:parts:actions\n' + ''.join(
        f'{name}:{",".join(map(str, colour))}::\n' for name, colour in zip(NAMES, COLOURS, strict=True)))
    summary = make(tmp_path, root)
    assert summary.classes == NAMES and summary.palette == [tuple(map(int, colour)) for colour in COLOURS]
    check_config(tmp_path / 'mine.py')


@pytest.mark.parametrize('prefix', ['', 'images/', '../../label-studio/data/media/upload/1/0a1b2c3d-'])
@pytest.mark.parametrize('zero', ['background', 'void'])
def test_polygons(tmp_path, mmseg_scope, prefix, zero):
    pytest.importorskip('pycocotools')
    file = write_coco(tmp_path / 'set', prefix=prefix)
    with pytest.raises(InputError, match=r'can be read in two ways.*zero=background.*zero=void'):
        make(tmp_path, tmp_path / 'set/images', file)
    if zero == 'void':
        with pytest.raises(InputError, match='one class only, right'):
            make(tmp_path, tmp_path / 'set/images', file, zero=zero)
        return
    summary = make(tmp_path, tmp_path / 'set/images', file, zero=zero)
    assert summary.classes == ['background', 'left', 'right']
    labels = truths(tmp_path / 'mine.py')
    assert labels and all((one[:, :16] == 0).all() and (one[:, 16:] == 2).all() for one in labels.values())
    assert (tmp_path / 'set/images_index').is_dir() and not (tmp_path / 'set/images/0_index.png').exists()


def test_polygons_everywhere_and_a_whole_folder(tmp_path, mmseg_scope):
    pytest.importorskip('pycocotools')
    write_coco(tmp_path / 'set', whole=True)
    summary = make(tmp_path, tmp_path / 'set')
    assert summary.classes == ['left', 'right']
    labels = truths(tmp_path / 'mine.py')
    assert labels and all((one[:, :16] == 0).all() and (one[:, 16:] == 1).all() for one in labels.values())


@pytest.mark.parametrize('content,message', [
    ([dict(id=1)], 'Label Studio export as "COCO"'),
    (dict(images=[]), 'has not all of images, annotations, categories'),
    (dict(images=[dict(id=1)], annotations=[], categories=[dict(id=1, name='a')]), r'images\[0\] has no file_name'),
    (dict(images=[dict(id=1, file_name='0.png')], annotations=[dict(image_id=1, category_id=9)],
          categories=[dict(id=1, name='a')]), 'the category 9 of an annotation is not listed'),
    (dict(images=[dict(id=1, file_name='gone.png')], annotations=[], categories=[dict(id=1, name='a')]),
     r'gone\.png is not below .*allow_missing=True')])
def test_wrong_polygons(tmp_path, content, message):
    pytest.importorskip('pycocotools')
    file = write_coco(tmp_path / 'set')
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        make(tmp_path, tmp_path / 'set/images', file)
    assert not (tmp_path / 'mine.py').exists()


def test_an_outline_of_another_size(tmp_path):
    pytest.importorskip('pycocotools')
    file = write_coco(tmp_path / 'set', whole=True)
    content = json.loads(file.read_text())
    content['images'][1]['height'] = 99
    file.write_text(json.dumps(content))
    with pytest.raises(FaultsFound) as raised:
        make(tmp_path, tmp_path / 'set/images', file)
    (fault, ) = raised.value.faults
    assert fault.file == str(file) and '32 x 99 pixels, it is 32 x 24' in fault.problem


@pytest.mark.parametrize('change,note', [
    (lambda labels: COLOURS[labels], 'coloured masks'),
    (lambda labels: np.dstack([COLOURS[labels], np.full(labels.shape, 255, np.uint8)]), 'coloured masks'),
    (lambda labels: np.repeat(labels[..., None], 3, axis=2), 'more than 8 bits or one channel'),
    (lambda labels: labels.astype(np.uint16), 'more than 8 bits or one channel'),
    (lambda labels: labels.astype(np.uint16) * 1000, 'more than 8 bits or one channel')])
def test_labels_that_are_converted(tmp_path, mmseg_scope, change, note):
    """They go beside the originals, which stay as they are; a second run overwrites nothing unasked."""
    root = write_folders(tmp_path / 'set', change=change)
    before = {path: path.read_bytes() for path in root.rglob('*.png')}
    (tmp_path / 'names.txt').write_text(''.join(
        f'{name} {" ".join(map(str, colour))}\n' for name, colour in zip(NAMES, COLOURS, strict=True)))
    given = str(tmp_path / 'names.txt') if note == 'coloured masks' else ABC
    summary = make(tmp_path, root, classes=given)
    assert any(note in sentence for sentence in summary.said)
    assert all(path.read_bytes() == content for path, content in before.items())
    check_config(tmp_path / 'mine.py')
    written = sorted((root / 'labels_index').rglob('*.png'))
    assert len(written) == 6 and Image.open(written[0]).mode == 'L'
    (tmp_path / 'mine.py').unlink()
    shutil.rmtree(tmp_path / 'mine')
    with pytest.raises(InputError, match=r'labels_index/train/frame_000\.png.*there already.*overwrite=True'):
        make(tmp_path, root, classes=given)
    make(tmp_path, root, classes=given, overwrite=True)


def test_black_and_white_colours(tmp_path, mmseg_scope):
    """Masks in RGB without a colour among them, with classes that say which grey they are."""
    def grey(labels):
        return np.repeat(np.array([0, 128, 255], np.uint8)[labels][..., None], 3, axis=2)
    root = write_folders(tmp_path / 'set', change=grey)
    (tmp_path / 'set/classes.txt').write_text('sky 0 0 0\ntree 128 128 128\nvoid 255 255 255\n')
    make(tmp_path, root)
    found = truths(tmp_path / 'mine.py')
    assert all((labels == np.array([0, 1, 255])[labels_of(int(name.split('_')[1]))]).all()
               for name, labels in found.items())


def test_a_palette_says_which_label_is_which(tmp_path, mmseg_scope):
    root = write_folders(tmp_path / 'set', splits=())
    palette = np.zeros((256, 3), np.uint8)
    palette[[5, 9, 2]] = COLOURS
    for path in (root / 'labels').iterdir():
        image = Image.fromarray(np.array([5, 9, 2], np.uint8)[np.asarray(Image.open(path))], 'P')
        image.putpalette(palette.tobytes())
        image.save(path)
    (root / 'classes.txt').write_text(''.join(
        f'{name} {" ".join(map(str, colour))}\n' for name, colour in zip(NAMES, COLOURS, strict=True)))
    summary = make(tmp_path, root)
    assert summary.label_values == [5, 9, 2] and not (root / 'labels_index').exists()
    check_config(tmp_path / 'mine.py')


@pytest.mark.parametrize('values,wishes,config,void', [
    ([0, 1, 2], {}, {}, None), ([1, 2, 3], {}, dict(reduce_zero_label=True), None),
    ([10, 20, 250], {}, dict(label_values=[10, 20, 250]), None),
    ([0, 1, 255], dict(classes='sky,tree'), {}, 2), ([1, 2, 0], dict(classes='sky,tree', zero='void'),
                                                     dict(reduce_zero_label=True), 2),
    ([2, 0, 1], dict(classes='sky,tree', void=(1, ), zero='class'), dict(label_values=[2, 0], void_values=[1]), 2)])
def test_what_labels_mean(tmp_path, mmseg_scope, values, wishes, config, void):
    if config.get('label_values') == [2, 0]:
        wishes = dict(classes='2:sky,0:tree', void=(1, ))
    root = write_folders(tmp_path / 'set', change=lambda labels: np.array(values, np.uint8)[labels])
    make(tmp_path, root, **dict(dict(classes=ABC), **wishes))
    dataset = Config.fromfile(str(tmp_path / 'mine.py')).val_dataloader.dataset
    kept = ('reduce_zero_label', 'label_values', 'void_values')
    assert {key: dataset[key] for key in kept if key in dataset} == config
    found = truths(tmp_path / 'mine.py')
    expected = np.array([0, 1, 2 if void is None else 255])
    assert all((labels == expected[labels_of(int(name.split('_')[1]))]).all() for name, labels in found.items())


def test_lists(tmp_path, mmseg_scope):
    root = write_folders(tmp_path / 'set', splits=())
    (tmp_path / 'val.txt').write_text('frame_001\nimages/frame_003.png\n')
    summary = make(tmp_path, root, classes=ABC, lists=(('val', str(tmp_path / 'val.txt')), ))
    assert [pair.image.stem for pair in summary.pairs['val']] == ['frame_001', 'frame_003']
    assert len(summary.pairs['train']) == 4
    (tmp_path / 'train.txt').write_text('frame_001\n')
    lists = tuple((split, str(tmp_path / f'{split}.txt')) for split in ('train', 'val'))
    for text, message in (('frame_001\n', 'is listed in train too'), ('frame_9\n', 'frame_9 is the name of no'),
                          ('\n', 'lists no image')):
        (tmp_path / 'val.txt').write_text(text)
        with pytest.raises(InputError, match=message):
            make(tmp_path, root, classes=ABC, lists=lists, overwrite=True)


def spoilt(root: Path, what: str) -> None:
    """Makes something of a set wrong."""
    image, label = root / 'images/train/frame_001.png', root / 'labels/train/frame_001.png'
    if what == 'a label too large':
        save(label, np.full(SIZE, 9, np.uint8))
    elif what == 'no label':
        label.unlink()
    elif what == 'no image':
        image.unlink()
    elif what == 'one class':
        for path in (root / 'labels').rglob('*.png'):
            save(path, np.zeros(SIZE, np.uint8))
    elif what == 'nothing':
        shutil.rmtree(root / 'images/train')
        (root / 'images/train').mkdir()
    elif what == 'no folder':
        shutil.rmtree(root)
    elif what == 'another size':
        save(label, np.zeros((5, 7), np.uint8))
    elif what == 'colours':
        for path in (root / 'labels').rglob('*.png'):
            save(path, COLOURS[np.asarray(Image.open(path))])
    elif what == 'a JPEG':
        for path in (root / 'labels').rglob('*.png'):
            save(path.with_suffix('.jpg'), np.asarray(Image.open(path)))
            path.unlink()
    elif what == 'half an image':
        image.write_bytes(image.read_bytes()[:-40])
    elif what == 'an empty label':
        label.write_bytes(b'')
    elif what == 'a photograph':
        for path in (root / 'labels').rglob('*.png'):
            save(path, np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8))
            save(root / 'images' / path.relative_to(root / 'labels'), np.zeros((*SIZE, 3), np.uint8))
    elif what == 'deep and flat':
        save(image, labels_of(1).astype(np.uint16))


@pytest.mark.parametrize('what,parts', [
    ('a label too large', ['frame_001.png', 'label 9 above the 3 classes', 'correct the file', 'void=9']),
    ('no label', ['frame_001.png', 'this image has no label', 'allow_missing=True']),
    ('no image', ['frame_001.png', 'this label has no image', 'allow_missing=True']),
    ('one class', ['frame_00', 'one class only, sky (label 0)']),
    ('nothing', ['images/train', 'the folder is empty']), ('no folder', ['set', 'no such folder']),
    ('another size', ['labels/train/frame_001.png', '7 x 5 pixels', '32 x 24', 'give both the same size']),
    ('colours', ['labels/', 'a mask of 3 colours (', '0 0 255', 'classes=FILE']),
    ('a JPEG', ['frame_000.jpg', 'a JPEG', 'as PNG']), ('half an image', ['images/train/frame_001.png', 'truncated']),
    ('an empty label', ['labels/train/frame_001.png', 'frame_001']),
    ('a photograph', ['a mask of ', 'colours', '; ...', 'give classes=FILE']),
    ('deep and flat', ['frame_001.png', '1 bands of uint16', '3 of uint8', 'the same bands'])])
def test_bad_input(tmp_path, what, parts):
    """One line each, with file, value and remedy; nothing is written."""
    root = write_folders(tmp_path / 'set')
    spoilt(root, what)
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(InputError) as raised:
        make(tmp_path, root, classes=ABC)
    faults = getattr(raised.value, 'faults', None)
    said = '; '.join(map(str, faults)) if faults else str(raised.value)
    assert all(part in said for part in parts), said
    assert '\n' not in said and sorted(tmp_path.rglob('*')) == before


def test_what_has_no_partner_can_be_left_out(tmp_path, mmseg_scope):
    root = write_folders(tmp_path / 'set')
    spoilt(root, 'no label')
    summary = make(tmp_path, root, classes=ABC, allow_missing=True)
    assert len(summary.pairs['train']) == 2
    assert 'Files left out: 1' in (tmp_path / 'mine/report.html').read_text()
    check_config(tmp_path / 'mine.py', 'train')


def test_suspicious_pairs_come_first(tmp_path):
    root = write_folders(tmp_path / 'set', count=8)
    shutil.copy(root / 'images/train/frame_001.png', root / 'images/val/frame_007.png')  # a leak
    save(root / 'labels/train/frame_002.png', np.where(labels_of(2) == 0, labels_of(2), 255).astype(np.uint8))
    make(tmp_path, root, classes=ABC)
    report = (tmp_path / 'mine/report.html').read_text()
    begin, end = report.index('What may be wrong'), report.index('<h2>Classes')
    assert 'the same image as frame_001.png, in train' in report[begin:end] and '% void' in report[begin:end]
    assert report.index('frame_007.png') < report.index('frame_002.png')


@pytest.mark.parametrize('out', ['mine.txt', 'my-set.py', '3d.py'])
def test_a_config_has_a_name_of_python(tmp_path, out):
    root = write_folders(tmp_path / 'set')
    from mmseg_vittm.commands.new_dataset.new_dataset import Wishes, make_dataset
    with pytest.raises(InputError, match='a config is a Python file'):
        make_dataset(Wishes(str(root), None, str(tmp_path / out), ABC), tmp_path, 1, print)


@pytest.mark.parametrize('there', ['mine.py', 'mine/train.txt', 'mine/report.html'])
def test_nothing_is_overwritten(tmp_path, there):
    root = write_folders(tmp_path / 'set')
    (tmp_path / 'mine').mkdir()
    (tmp_path / there).write_text('mine')
    with pytest.raises(InputError, match='there already'):
        make(tmp_path, root, classes=ABC)
    assert (tmp_path / there).read_text() == 'mine'
    make(tmp_path, root, classes=ABC, overwrite=True)
    assert (tmp_path / there).read_text() != 'mine' and len(read_pairs(tmp_path / 'mine/train.txt')) == 3


def test_names_with_spaces_and_accents(tmp_path, mmseg_scope):
    root = write_folders(tmp_path / 'my set é', image_name='a b_{}.png', label_name='a b_{}.png')
    make(tmp_path, root, classes=ABC)
    assert all(name.startswith('a b_frame') for name in truths(tmp_path / 'mine.py'))


def test_unknown_layout(tmp_path):
    write_folders(tmp_path / 'set', images='pictures', labels='truth')
    with pytest.raises(InputError, match='no layout that is known; give the folders'):
        make(tmp_path, tmp_path / 'set', classes=ABC)


def test_classes_are_entries():
    assert ClassEntry('a', 1, (1, 2, 3)).colour == (1, 2, 3)
