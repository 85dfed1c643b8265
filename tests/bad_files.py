"""A tiny data set on disk and every way to spoil a file of it."""
import io
from pathlib import Path

import numpy as np
from mmengine.config import Config
from PIL import Image

CLASSES = ('sky', 'road', 'tree')


def write_set(root: Path, count: int = 4, size: tuple[int, int] = (40, 32), suffix: str = '.jpg') -> Path:
    """Writes `count` pairs of (height, width) for each of training and validation: images/SPLIT/N.jpg and labels."""
    for number, split in enumerate(('training', 'validation')):
        for i in range(count):
            rng = np.random.default_rng([number, i])
            image, label = (root / kind / split / f'{i}{ending}' for kind, ending in (('images', suffix),
                                                                                     ('annotations', '.png')))
            for path in (image, label):
                path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(image)
            pixels = rng.integers(0, len(CLASSES), size, dtype=np.uint8)
            pixels[0, :4] = 255
            Image.fromarray(pixels).save(label)
    return root


def _jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, 'JPEG')
    return buffer.getvalue()


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, 'PNG')
    return buffer.getvalue()


def _cut(share: float):
    return lambda content: content[:max(1, int(share * len(content)))]


def _flip(content: bytes) -> bytes:
    return content[:-30] + bytes([content[-30] ^ 0x55]) + content[-29:]


def _label(value: float, dtype=np.uint8, size=(40, 32)):
    def make(content: bytes) -> bytes:
        pixels = np.zeros(size, dtype)
        pixels[3, 5:7] = value
        return _png(pixels)
    return make


# Name: (which file, what becomes of its content, None for gone; a part of the message).
FAULTS = {
    'image of zero bytes': ('image', lambda content: b'', 'empty (0 bytes)'),
    'image without its last byte': ('image', lambda content: content[:-1], 'truncated'),
    'image without its last 2 bytes': ('image', lambda content: content[:-2], 'truncated'),
    'half an image': ('image', _cut(0.5), 'truncated'),
    'image header alone': ('image', lambda content: content[:20], 'truncated'),
    'image padded with zeros': ('image', lambda content: content[:len(content) // 2] + bytes(5000), 'truncated'),
    'text for image': ('image', lambda content: b'not an image\n' * 50, 'cannot be read as an image'),
    'image of another size': ('image', lambda content: _jpeg(np.zeros((41, 32, 3), np.uint8)), '32 x 41'),
    'truncated png as image': ('image', lambda content: _png(np.zeros((40, 32, 3), np.uint8))[:-5], 'truncated'),
    'label of zero bytes': ('label', lambda content: b'', 'empty (0 bytes)'),
    'half a label': ('label', _cut(0.5), 'truncated'),
    'label without its last byte': ('label', lambda content: content[:-1], 'truncated'),
    'label with a flipped bit': ('label', _flip, 'checksum'),
    'text for label': ('label', lambda content: b'0 0 0 1 1', 'cannot be read as an image'),
    'label above the classes': ('label', _label(3), 'label 3 in 2 pixels, above the 3 classes'),
    'label 254': ('label', _label(254), 'label 254'),
    'label of 16 bits above 255': ('label', _label(257, np.uint16), '257 does not fit'),
    'label of another size': ('label', _label(1, size=(32, 40)), '40 x 32'),
    'RGB label': ('label', lambda content: _png(np.zeros((40, 32, 3), np.uint8)), 'not of one channel'),
    'RGBA label': ('label', lambda content: _png(np.zeros((40, 32, 4), np.uint8)), 'not of one channel'),
    'no label': ('label', None, 'no such file'),
}


def spoil(root: Path, fault: str, split: str = 'training', number: int = 1) -> tuple[Path, str]:
    """Gives one file of a set a fault; returns the file, and a part of the message."""
    kind, change, message = FAULTS[fault]
    folder, suffix = ('images', '.jpg') if kind == 'image' else ('annotations', '.png')
    path = root / folder / split / f'{number}{suffix}'
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    named = root / 'annotations' / split / f'{number}.png' if fault == 'image of another size' else path
    return named, message


def dataset_config(root: Path, split: str = 'training', **more) -> dict:
    """A config of the set, as any config of MMSegmentation has it."""
    return dict(type='BaseSegDataset', data_root=str(root), metainfo=dict(classes=CLASSES),
                data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'annotations/{split}'),
                pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
                ) | more


def splits_config(root: Path, **more) -> Config:
    """A config of the set for training, validation and testing, the last two on the same files."""
    val = dict(dataset=dataset_config(root, 'validation', **more))
    return Config(dict(train_dataloader=dict(dataset=dataset_config(root, **more)), val_dataloader=val,
                       test_dataloader=val))


RUN_CONFIG = """
_base_ = {base!r}
data_root = {data!r}
classes = ('sky', 'road', 'tree')
crop_size = (32, 32)
train_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='RandomCrop', crop_size=crop_size),
    dict(type='PackSegInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='Resize', scale=crop_size, keep_ratio=False),
    dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(img_size=crop_size, arch=dict(embed_dims=24, num_layers=1, num_heads=3, mlp_ratio=2.0)),
    decode_head=dict(in_channels=48, channels=24, embed_dims=24, num_classes=3),
    auxiliary_head=dict(in_channels=48, channels=48, num_classes=3))
workers = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(batch_size=2, dataset=dict(
    _delete_=True, type='BaseSegDataset', data_root=data_root, metainfo=dict(classes=classes), pipeline=train_pipeline,
    data_prefix=dict(img_path='images/training', seg_map_path='annotations/training')), **workers)
val_dataloader = dict(dataset=dict(
    _delete_=True, type='BaseSegDataset', data_root=data_root, metainfo=dict(classes=classes), pipeline=test_pipeline,
    data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation')), **workers)
test_dataloader = val_dataloader
total_batch_size = 2
train_cfg = dict(max_iters=4, val_interval=4)
default_hooks = dict(checkpoint=dict(interval=4), logger=dict(interval=1), pictures=dict(num_val=0))
"""


def write_run_config(path: Path, data: Path, base: Path) -> Path:
    """Writes a config that trains a tiny model on the set."""
    path.write_text(RUN_CONFIG.format(base=str(base), data=str(data)))
    return path
