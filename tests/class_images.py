"""Classified images for tests: drawn, in folders or in shards, and configs that train tiny classifiers on them."""
import io
from pathlib import Path

import numpy as np
from PIL import Image
from tiny_models import ROOT
from webdataset import TarWriter

SIDE = 40  # pixels
TINY_VIT = dict(model_name='vit_tiny_patch16_224', model_args=dict(embed_dim=24, depth=2, num_heads=3, patch_size=8))
TINY_VITTM = dict(model_name='vittm_tiny_patch28_224', model_args=dict(
    embed_dim=24, depth=2, num_heads=3, process_patch_size=8, memory_patch_size=8))
# The small recipe of the tests: all that the paper's has, and the first stage's where `more` says so.
CONFIG = """
_base_ = {base!r}
data_root = {data!r}
pipeline = [
    dict(type='DecodeImage'),
    dict(type='TimmTransform', image_size=32, training=True, auto_augment='rand-m20-n2', erasing=0.25)]
test_pipeline = [dict(type='DecodeImage'), dict(type='TimmTransform', image_size=32)]
model = dict(_delete_=True, type='ImageClassifier', num_classes={classes}, img_size=32, drop_path_rate=0.2,
             loss='binary_cross_entropy', mixup=0.8, cutmix=0.8, **{model!r})
train_dataloader = dict(
    batch_size=6, num_workers=0, persistent_workers=False, pin_memory=False,
    dataset=dict(data_root=data_root, pipeline=pipeline))
val_dataloader = dict(
    batch_size=5, num_workers=0, persistent_workers=False, pin_memory=False,
    dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
total_batch_size = 6
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [dict(type='LinearLR', start_factor=0.1, begin=0, end=2, by_epoch=False),
                   dict(type='CosineAnnealingLR', T_max=10, begin=2, end=12, by_epoch=False)]
train_cfg = dict(max_iters=12, val_interval=6)
custom_hooks = [dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.1)]
default_hooks = dict(checkpoint=dict(interval=6), logger=dict(interval=1))
"""
SHARDED = """
train_dataloader.update(
    sampler=dict(type='PassSampler', shuffle_shards=2),
    dataset=dict(_delete_=True, type='ImageShards', data_root=data_root, shards='train-{{0..{last}}}.tar',
                 pipeline=pipeline))
val_dataloader.update(dataset=dict(_delete_=True, type='ImageShards', data_root=data_root, shards='val-0.tar',
                                   pipeline=test_pipeline, test_mode=True))
"""


def draw(label: int, number: int) -> Image.Image:
    """An image whose colour tells its class, and its stripes its number."""
    chance = np.random.default_rng([label, number])
    pixels = chance.integers(0, 60, (SIDE, SIDE + 8, 3))
    pixels[:, :, label % 3] += 120
    pixels[::max(1, label), :, (label + 1) % 3] += 70
    return Image.fromarray(pixels.astype(np.uint8))


def write_tree(root: Path, classes: int = 3, train: int = 5, val: int = 3, prefix: str = 'n') -> Path:
    """Writes `train/CLASS/*.JPEG` and `val/CLASS/*.JPEG`; returns their folder."""
    for split, count, first in (('train', train, 0), ('val', val, 1000)):
        for label in range(classes):
            folder = root / split / f'{prefix}{label:04d}'
            folder.mkdir(parents=True)
            for number in range(count):
                draw(label, first + number).save(folder / f'{number}.JPEG', quality=90)
    return root


def write_shards(root: Path, classes: int = 3, train: int = 5, val: int = 3, shards: int = 3) -> Path:
    """Writes the images of `write_tree` into shards, and `classes.txt`."""
    root.mkdir(parents=True)
    for split, count, first, files in (('train', train, 0, shards), ('val', val, 1000, 1)):
        samples = [(number, label) for number in range(count) for label in range(classes)]
        for shard in range(files):
            with TarWriter(str(root / f'{split}-{shard}.tar')) as writer:
                for number, label in samples[shard::files]:
                    content = io.BytesIO()
                    draw(label, first + number).save(content, 'JPEG', quality=90)
                    writer.write(dict(__key__=f'{label}/{number:05d}', jpg=content.getvalue(), cls=label))
    (root / 'classes.txt').write_text(''.join(f'n{label:04d}\n' for label in range(classes)))
    return root


def write_class_config(path: Path, data: Path, classes: int = 3, model: dict = TINY_VIT, sharded: int = 0,
                       more: str = '') -> Path:
    """Writes the config of a tiny classifier, with lines of its own at the end; `sharded` is the number of shards."""
    text = CONFIG.format(base=str(ROOT / 'configs' / 'imagenet' / 'vit_s_16_in1k.py'), data=str(data), classes=classes,
                         model=model)
    path.write_text(text + (SHARDED.format(last=sharded - 1) if sharded else '') + more)
    return path
