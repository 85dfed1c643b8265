"""Configs with LoadBands: steps for colours alone, and numbers of bands that differ, in one line."""
import pytest
from mmengine.config import Config

from mmseg_vittm.commands.configs.bands import check_bands
from mmseg_vittm.errors import InputError


def config(steps=(), reader=None, in_channels=4, mean=4) -> Config:
    pipeline = [reader or dict(type='LoadBands', num_bands=4), dict(type='LoadAnnotations'), *steps,
                dict(type='PackSegInputs')]
    return Config(dict(
        model=dict(backbone=dict(type='ViTTM', in_channels=in_channels),
                   data_preprocessor=dict(type='BandsPreProcessor', mean=[0.] * mean, std=[1.] * mean)),
        train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=dict(pipeline=pipeline)))))


@pytest.mark.parametrize('steps', [
    [dict(type='PhotoMetricDistortion')], [dict(type='mmseg.PhotoMetricDistortion')], [dict(type='CLAHE')],
    [dict(type='RandomApply', transforms=[dict(type='RandomFlip'), dict(type='PhotoMetricDistortion')])]])
def test_steps_for_colours(steps):
    with pytest.raises(InputError, match='train_dataloader reads images by LoadBands, which (Photo|CLAHE).*BandJitter'):
        check_bands(config(steps), ('train_dataloader', ))
    stock = dict(type='LoadImageFromFile')
    check_bands(config(steps, stock), ('train_dataloader', ))
    check_bands(config(steps), ('val_dataloader', 'model'))


def test_pad():
    with pytest.raises(InputError, match='which Pad, .*data_preprocessor pads'):
        check_bands(config([dict(type='Pad', size=(32, 32))]), ('train_dataloader', ))


@pytest.mark.parametrize('options,words', [
    (dict(in_channels=3), r'gives 4 bands, model\.backbone\.in_channels are 3'), (dict(mean=3), r'mean are 3'),
    (dict(reader=dict(type='LoadBands', bands=[0, 1])), 'gives 2 bands, .* are 4')])
def test_numbers_of_bands(options, words):
    with pytest.raises(InputError, match=words):
        check_bands(config(**options), ('train_dataloader', ))


def test_what_is_right():
    steps = [dict(type='BandJitter'), dict(type='RandomFlip', prob=0.5)]
    check_bands(config(steps), ('train_dataloader', 'val_dataloader'))
    check_bands(config(steps, dict(type='LoadBands')), ('train_dataloader', ))
    check_bands(Config(dict()), ('train_dataloader', 'test_pipeline'))
