"""The config of a data set: short, commented, and what `tools/train.py` takes."""
import os
import textwrap
from pathlib import Path

from .budgets import Budget, Settings
from .summary import Summary

WIDTH = 110


def config_text(summary: Summary, budget: Budget, settings: Settings, config: Path, configs: Path,
                weigh_classes: bool) -> str:
    """Returns the text of a config.

    Args:
        summary: The data set.
        budget: What to train.
        settings: What follows from both.
        config: Where it will be.
        configs: The folder of this project's configs.
        weigh_classes: Whether the loss weighs classes.
    """
    parts = [_head(summary, budget, config, configs), _data(summary, settings),
             _model(summary, budget, settings, weigh_classes), _pipelines(summary, settings),
             _loaders(summary, budget, settings, config), _schedule(budget, settings)]
    return '\n'.join(part.rstrip() for part in parts) + '\n'


def _head(summary: Summary, budget: Budget, config: Path, configs: Path) -> str:
    splits = ', '.join(f'{len(pairs)} images to {dict(train="train", val="validate").get(split, split)}'
                       for split, pairs in summary.pairs.items())
    about = (f'{summary.name}: {splits}, {len(summary.classes)} classes. Made by tools/new_dataset.py; its report is '
             f'{config.stem}/report.html, beside this file.')
    model = (f'{budget.about}. Meant for {budget.meant_for}. Begins from {budget.weights}.')
    bases = [_base(configs / name, config) for name in (budget.base, '_base_/schedules/adamw_laboratory.py')]
    return f'{_comment(about)}\n{_comment(model)}\n{_listed("_base_", bases)}'


def _base(base: Path, config: Path) -> str:
    """Returns a base config as another one names it: relative within this project, so that both may move."""
    inside = base.parents[2].resolve() in config.parents  # not by way of a link, which relative paths do not survive
    return Path(os.path.relpath(base, config.parent)).as_posix() if inside else base.resolve().as_posix()


def _comment(text: str) -> str:
    return '\n'.join(textwrap.wrap(text, WIDTH, initial_indent='# ', subsequent_indent='# '))


def _literal(value: object) -> str:
    """Returns a value as Python, in which mmengine finds nothing to fill in."""
    return repr(value).replace('{{', r'\x7b\x7b')


def _listed(name: str, items: list, brackets: str = '[]') -> str:
    text = ', '.join(map(_literal, items)) + ',' * (len(items) == 1 and brackets == '()')
    whole = f'{name} = {brackets[0]}{text}{brackets[1]}'
    if len(whole) <= WIDTH:
        return whole
    lines = textwrap.wrap(', '.join(_literal(item).replace(' ', '\0') for item in items), WIDTH - 4,
                          break_long_words=False, break_on_hyphens=False)
    body = '\n'.join(f'    {line}' for line in lines).replace('\0', ' ')
    return f'{name} = {brackets[0]}\n{body}{"," * (len(items) == 1)}\n{brackets[1]}'


def _data(summary: Summary, settings: Settings) -> str:
    crop = 'whole process tokens, and within most images'
    return f"""
data_root = {_literal(str(summary.root))}
{_listed('classes', summary.classes, '()')}
{_listed('palette', [list(colour) for colour in summary.palette])}
metainfo = dict(classes=classes, palette=palette)
crop_size = {settings.crop}  # height, width: {crop}{_scale(settings)}{_means(summary)}"""


def _scale(settings: Settings) -> str:
    """Returns the line of the size that images are scaled to, where they are."""
    return (f'\nscale = {settings.scale}  # the longer and the shorter side of images, in pixels, at most'
            if settings.scale else '')


def _means(summary: Summary) -> str:
    """Returns the line of what pixels without data become, where there are some."""
    return f'\nband_means = {_numbers(summary.mean)}  # what pixels without data become' * summary.has_gaps


def _model(summary: Summary, budget: Budget, settings: Settings, weigh: bool) -> str:
    if summary.takes_bands:
        mean = 'band_means' if summary.has_gaps else _numbers(summary.mean)
        numbers = (f'        mean={mean},  # of each band, over all pixels that train\n'
                   f'        std={_numbers(summary.std)},\n')
        preprocessor = ("dict(\n        _delete_=True,\n        type='BandsPreProcessor',\n"
                        f'{numbers}        size=crop_size)')
        channels = f', in_channels={summary.bands}'
    else:
        preprocessor, channels = 'dict(size=crop_size)', ''
    head = f'num_classes={len(summary.classes)}' + (f', {budget.head}' if budget.head else '')
    return f"""model = dict(
    data_preprocessor={preprocessor},
    backbone=dict(
        img_size=crop_size{channels},
        {budget.backbone}),
    decode_head=dict(
        {head},
{_weights(summary, weigh)}
    ),
    # Windows of the crop's size; test_cfg=dict(_delete_=True, mode='whole') is about twice as fast, and less accurate.
    test_cfg=dict(mode='slide', crop_size=crop_size, stride={settings.stride}))"""


def _weights(summary: Summary, weigh: bool) -> str:
    """Returns the lines that weigh classes, as a comment where they are not asked for."""
    about = ('Weights of classes, by the root of their inverse frequency: rare ones count more.' if weigh else
             'To make rare classes count more, take the next line in: weights by the root of their inverse frequency. '
             'docs/rare_classes.md tells what they bring, and what else does.')
    lines = textwrap.wrap(f'loss_decode=dict(class_weight={summary.weights}),', WIDTH - 10,
                          subsequent_indent=' ' * 31)
    note = textwrap.wrap(about, WIDTH - 10)
    return '\n'.join(f'        {line}' for line in [*(f'# {line}' for line in note),
                                                    *(line if weigh else f'# {line}' for line in lines)])


def _numbers(numbers) -> str:
    return '[' + ', '.join(f'{number:.5g}' for number in numbers) + ']'


def _pipelines(summary: Summary, settings: Settings) -> str:
    fill = ', fill=band_means' * summary.has_gaps
    load = (f"dict(type='LoadBands', num_bands={summary.bands}{fill})" if summary.takes_bands
            else "dict(type='LoadImageFromFile')")
    jitter = "dict(type='BandJitter')" if summary.takes_bands else "dict(type='PhotoMetricDistortion')"
    rescale = ("dict(type='RandomResize', scale=scale, ratio_range=(0.5, 2.0), keep_ratio=True)" if settings.scale else
               "dict(type='RandomRescale', ratio_range=(0.75, 1.33))")
    resize = "\n    dict(type='Resize', scale=scale, keep_ratio=True)," * settings.is_scaled
    late = '\n    # After the Resize, because the ground truth is not resized.' * settings.is_scaled
    return f"""
train_pipeline = [
    {load},
    dict(type='LoadAnnotations'),
    {rescale},
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    {jitter},
    dict(type='PackSegInputs'),
]
test_pipeline = [
    {load},{resize}{late}
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]"""


def _loaders(summary: Summary, budget: Budget, settings: Settings, config: Path) -> str:
    meaning = ''
    if summary.reduce_zero_label:
        meaning = 'reduce_zero_label=True, '  # 0 is void, 1 the first class
    elif summary.label_values is not None:
        void = f'void_values={summary.void_values}, ' if summary.void_values else ''
        meaning = f'label_values={summary.label_values}, {void}'
    elif summary.void_values:
        meaning = f'void_values={summary.void_values}, '
    note = '  # 0 is void, 1 the first class' * summary.reduce_zero_label
    lists = {split: _list_of(split, config) for split in ('train', 'val', 'test')}
    test = 'test' if 'test' in summary.pairs else 'val'
    same = 'test_dataloader = val_dataloader' if test == 'val' else f"""test_dataloader = dict(
    val_dataloader, dataset=dict(dataset, ann_file={lists["test"]}, pipeline=test_pipeline))"""
    return f"""
dataset = dict(type='PairedSegDataset', {meaning}metainfo=metainfo, data_root=data_root){note}
train_dataloader = dict(
    batch_size={settings.batch},
    num_workers={budget.workers},
    persistent_workers=True,
    # type='RareClassSampler' draws images with rare classes more often.
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(dataset, ann_file={lists["train"]}, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    num_workers={budget.workers},
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(dataset, ann_file={lists["val"]}, pipeline=test_pipeline))
{same}
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator"""


def _list_of(split: str, config: Path) -> str:
    """Returns the list of a split as Python: beside the config, wherever that moves, if its path can be filled in."""
    folder, name = str(config.parent), f'{config.stem}/{split}.txt'
    if folder.isprintable() and not set(folder) & set('\'"\\{}'):
        return f"'{{{{ fileDirname }}}}/{name}'"
    return _literal(f'{folder}/{name}')


def _schedule(budget: Budget, settings: Settings) -> str:
    about = f'{settings.iterations} iterations of {settings.batch} images: by the size of the data.'
    return f"""
{_comment(about)}
optim_wrapper = dict(optimizer=dict(lr={budget.lr:g}))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end={settings.warm_up}, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=1e-6, begin={settings.warm_up}, end={settings.iterations}, by_epoch=False),
]
train_cfg = dict(max_iters={settings.iterations}, val_interval={settings.interval})
default_hooks = dict(checkpoint=dict(interval={settings.interval}))"""
