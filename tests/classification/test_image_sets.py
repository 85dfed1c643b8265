"""Folders and shards of classified images: what they list, and what bad ones are answered."""
import contextlib
import io
import os
import pickle
import tarfile
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from class_images import draw, write_shards, write_tree
from mmengine.config import ConfigDict
from PIL import Image

from mmseg_vittm.classification import DecodeImage, ImageFolders, ImageShards
from mmseg_vittm.classification.config_checks import check_images
from mmseg_vittm.classification.names import Names
from mmseg_vittm.datasets import CheckedDataset
from mmseg_vittm.engine.hooks.same_classes_hook import SameClassesHook
from mmseg_vittm.errors import DataError, InputError

LOADING = [dict(type='DecodeImage')]


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / 'tree')


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path / 'shards')


def folders(root, **more) -> ImageFolders:
    return ImageFolders(str(root), pipeline=LOADING, **more)


def in_shards(root, **more) -> ImageShards:
    return ImageShards(**dict(data_root=str(root), shards='train-{0..2}.tar', pipeline=LOADING) | more)


def test_names_are_kept():
    texts = ['a', '', 'é/ü', 'x\udcff', 'last']
    names = Names(texts)
    assert len(names) == 5 and [names[n] for n in range(5)] == texts and names[-1] == 'last'
    tracemalloc.start()
    Names(map(str, range(200_000)))
    assert tracemalloc.get_traced_memory()[1] < 200_000 * 40  # bytes; of a list of numbers they were twice as many
    tracemalloc.stop()


def test_folders_and_shards_hold_the_same(tree, shards, mmseg_scope):
    one, other = folders(tree), in_shards(shards)
    assert len(one) == len(other) == 15
    assert one.metainfo['classes'] == other.metainfo['classes'] == ('n0000', 'n0001', 'n0002')
    found = [{(sample['label'], np.asarray(sample['image']).tobytes()) for sample in map(data.__getitem__, range(15))}
             for data in (one, other)]
    assert found[0] == found[1] and len(found[0]) == 15
    assert other.shard_sizes.tolist() == [5, 5, 5]
    assert other.get_data_info(7)['img_path'].startswith(f'{shards}/train-1.tar:')
    for data in (one, other):
        assert data[-1]['label'] == data[14]['label'] == 2 and data[-1]['image'] == data[14]['image']
        assert data.get_data_info(-15) == data.get_data_info(0)
    again = pickle.loads(pickle.dumps(other))  # as for workers that are not forked
    assert again[9]['label'] == other[9]['label']


def test_images_in_folders_below_a_class_and_other_files(tree, mmseg_scope):
    inner = tree / 'train' / 'n0001' / 'inner'
    inner.mkdir()
    draw(1, 99).save(inner / 'x.png')
    (tree / 'train' / 'n0001' / 'notes.txt').touch()
    (tree / 'train' / '.cache').mkdir()
    data = folders(tree)
    assert len(data) == 16 and data.metainfo['classes'] == ('n0000', 'n0001', 'n0002')
    added, = (data[n] for n in range(16) if data[n]['img_path'].endswith('inner/x.png'))
    assert added['label'] == 1


def test_a_number_is_no_list_of_folders(tree, mmseg_scope):
    with pytest.raises(InputError, match='classes must be a file with the name of a folder on each line, or None'):
        folders(tree, classes=3)


def test_linked_folders_within_a_class_are_read_once(tree, tmp_path, mmseg_scope, monkeypatch):
    (tmp_path / 'elsewhere').mkdir()
    draw(1, 99).save(tmp_path / 'elsewhere' / 'x.png')
    inner = tree / 'train' / 'n0001' / 'inner'
    inner.mkdir()
    for name, target in (('a', tmp_path / 'elsewhere'), ('b', tmp_path / 'elsewhere'), ('up', inner.parent)):
        (inner / name).symlink_to(target)
    assert [path['img_path'].split('n0001/')[-1] for path in folders(tree) if path['label'] == 1] == [
        '0.JPEG', '1.JPEG', '2.JPEG', '3.JPEG', '4.JPEG', 'inner/a/x.png']
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith('inner'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)
    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(DataError, match=r'n0001/inner: cannot be read \(Permission denied\)'):
        folders(tree)


def test_a_list_of_classes_orders_and_leaves_out(tree, mmseg_scope):
    (tree / 'list.txt').write_text('n0002\n\nn0000\n', encoding='utf-8-sig')  # as editors of Windows do
    data = folders(tree, classes='list.txt')
    assert data.metainfo['classes'] == ('n0002', 'n0000') and len(data) == 10
    assert {data[n]['img_path'].split('/')[-2]: data[n]['label'] for n in range(10)} == dict(n0002=0, n0000=1)
    for text, said in (('n0000\nn0009\n', 'no folder for 1 of the 2 classes of list.txt: n0009'),
                       ('n0000\nn0000\n', 'n0000 is there twice'), ('n0000\n', '1 classes')):
        (tree / 'list.txt').write_text(text)
        with pytest.raises(InputError, match=said):
            folders(tree, classes='list.txt')


def test_only_a_number_given_as_classes_stands_for_any_names(tmp_path):
    def check(*datasets):
        check_images({}, [(loader, ConfigDict(dataset)) for loader, dataset in zip(
            ('train', 'val'), datasets, strict=True)])
    for name, classes in (('numbers', '012'), ('names', 'abc')):
        for one in classes:
            (tmp_path / name / one).mkdir(parents=True)
    write_shards(tmp_path / 'shards')
    numbers, names = (dict(type='ImageFolders', data_root=str(tmp_path), data_prefix=dict(img_path=name))
                      for name in ('numbers', 'names'))
    sharded = dict(type='ImageShards', data_root=str(tmp_path / 'shards'), shards='train-0.tar')
    check(names, sharded | dict(classes=3))
    with pytest.raises(InputError, match='val has 3 classes, train 3: 0, 1, 2 only in train; a, b, c only in val'):
        check(numbers, names)
    with pytest.raises(InputError, match='val has 4 classes, train 3: another number'):
        check(names, sharded | dict(classes=4))


@pytest.mark.parametrize('classes,fits', [(3, True), ('classes.txt', False)])
def test_the_classes_of_a_checkpoint_are_numbered_or_named(classes, fits, shards, mmseg_scope):
    (shards / 'classes.txt').write_text('0\n1\n2\n')
    hook, runner = SameClassesHook(), SimpleNamespace(
        allow_partial=False, _load_from='trained.pth', test_dataloader=SimpleNamespace(
            dataset=SimpleNamespace(metainfo=dict(classes=['a', 'b', 'c']))))
    hook.after_load_checkpoint(runner, dict(meta=dict(dataset_meta=in_shards(shards, classes=classes).metainfo)))
    with contextlib.nullcontext() if fits else pytest.raises(InputError, match='0, 1, 2 only in trained.pth'):
        hook.before_test_epoch(runner)


def test_bad_folders_are_named(tree, mmseg_scope):
    for path in (tree / 'train' / 'n0001').iterdir():
        path.unlink()
    with pytest.raises(DataError, match='no images for 1 of 3 classes: n0001'):
        folders(tree)
    with pytest.raises(DataError, match='0 folders, but a data set of images has one for each of its classes'):
        folders(tree, data_prefix=dict(img_path='train/n0000'))
    with pytest.raises(DataError, match='nowhere: cannot be read'):
        folders(tree, data_prefix=dict(img_path='nowhere'))


@pytest.mark.parametrize('spoil,said', [
    (lambda content: content[:-20], 'truncated: '), (lambda content: b'', r'the file is empty \(0 bytes\)'),
    (lambda content: b'text', 'cannot be read as an image')])
def test_a_bad_image_is_named_or_passed_over(tree, mmseg_scope, spoil, said):
    path = tree / 'train' / 'n0001' / '2.JPEG'
    path.write_bytes(spoil(path.read_bytes()))
    cfg = dict(type='ImageFolders', data_root=str(tree), pipeline=LOADING)
    with pytest.raises(DataError, match=f'{path}: {said}'):
        CheckedDataset(cfg)[7]
    assert CheckedDataset(cfg, bad_data='skip')[7]['img_path'].endswith('n0001/3.JPEG')
    scored = CheckedDataset(cfg, bad_data='skip', test_mode=True)
    assert len(scored) == 14 and scored.left_out == [str(path)]


def test_every_kind_of_colour_becomes_rgb(tmp_path):
    for name, mode in (('grey.png', 'L'), ('cmyk.jpg', 'CMYK'), ('alpha.png', 'RGBA'), ('palette.png', 'P')):
        draw(1, 1).convert(mode).save(tmp_path / name)
        loaded = DecodeImage().transform(dict(img_path=str(tmp_path / name)))['image']
        assert isinstance(loaded, Image.Image) and loaded.mode == 'RGB' and loaded.size == (48, 40)


def test_missing_shards_are_named(shards, mmseg_scope):
    with pytest.raises(DataError, match=r'train-3.tar: no such shard; 2 of 5 are missing: train-3.tar, train-4.tar'):
        in_shards(shards, shards='train-{0..4}.tar')
    with pytest.raises(InputError, match='no local file'):
        in_shards(shards, shards='https://host/train-{0..4}.tar')
    with pytest.raises(InputError, match='no pattern of files'):
        in_shards(shards, shards='train-{0..4.tar')
    with pytest.raises(InputError, match='shards must be a pattern'):
        in_shards(shards, shards='')
    with pytest.raises(DataError, match='none.txt: no such file; give classes=FILE'):
        in_shards(shards, classes='none.txt')


def rewritten(path, keep):
    """Writes a shard again, without some files in it."""
    with tarfile.open(path) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar.getmembers()]
    with tarfile.open(path, 'w') as tar:
        for member, content in members:
            if keep(member.name):
                tar.addfile(member, io.BytesIO(content))


def test_bad_shards_are_named(shards, mmseg_scope):
    path = shards / 'train-1.tar'
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        third = tar.getmembers()[4].offset  # two whole samples, and no end
    for content, said in ((whole[:third], f'train-1.tar: truncated: {third} bytes'), (b'', 'train-1.tar: '),
                          (whole[:1800], 'train-1.tar: cannot be read as a shard'),
                          (b'text' * 300, 'train-1.tar: cannot be read as a shard')):
        path.write_bytes(content)
        with pytest.raises(DataError, match=said):
            in_shards(shards)
    for ending, said in (('.cls', r'has no label \(.cls\)'), ('.jpg', r'has no image \(.jpg')):
        path.write_bytes(whole)
        rewritten(path, lambda name, ending=ending: not name.endswith(f'00002{ending}'))
        with pytest.raises(DataError, match=f'train-1.tar: the sample ./00002 {said}'):
            in_shards(shards)


def test_a_damaged_header_within_a_shard_is_named(shards, mmseg_scope):
    path = shards / 'train-1.tar'
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        third = tar.getmembers()[4].offset
    for damage in (b'x' * 100, bytes(tarfile.BLOCKSIZE)):
        path.write_bytes(whole[:third] + damage + whole[third + len(damage):])
        with pytest.raises(DataError, match=f'train-1.tar: damaged: what comes at byte {third} is no file'):
            in_shards(shards)
    path.write_bytes(whole + bytes(3 << 20))  # as of larger records
    assert len(in_shards(shards)) == 15


def test_a_label_beyond_the_classes_is_named(shards, mmseg_scope):
    data = in_shards(shards, classes=2)
    with pytest.raises(DataError, match="train-2.tar:2/00000: its label '2' is none of 2 classes, 0 to 1"):
        [data[number] for number in range(15)]
    assert in_shards(shards, classes=3).metainfo['classes'] == ('0', '1', '2')
