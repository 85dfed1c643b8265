"""What is measured on: the validation images, synthetic ones of their sizes, or random crops."""
import copy
from collections.abc import Iterator

import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from ...datasets.bands.load_bands import LoadBands
from ...datasets.listing import SKIP_OPTIONS, datasets_of
from ...errors import InputError, one_line
from ...inference.test_pipeline import build_test_pipeline
from ...stack import DATASETS
from .building import Settings

# (height, width) of synthetic images, in the order in which they come. No statistics of ADE20K's sizes are at hand;
# these are the shapes common in it, most of them 4:3 like its median image.
SYNTHETIC_SIZES = ((512, 683), (512, 683), (512, 768), (512, 683), (683, 512), (512, 683), (375, 500), (512, 683),
                   (512, 512), (512, 768), (512, 683), (512, 910), (512, 683), (683, 512), (512, 683), (512, 768),
                   (512, 683), (375, 500), (512, 512), (768, 512))
SYNTHETIC = ("synthetic noise in sizes like ADE20K's (an assumption: per 20 images 9 of 512 x 683, 3 of 512 x 768, 2 "
             'each of 683 x 512, 375 x 500 and 512 x 512, 1 each of 512 x 910 and 768 x 512), resized by each test '
             'pipeline')


def bands_of(cfg: Config) -> int:
    """Returns how many bands a config's model takes: its backbone's `in_channels`, 3 where that is not said."""
    return (cfg.model.get('backbone') or {}).get('in_channels', 3)


def find_test_dataset(cfg: Config) -> ConfigDict:
    """Returns the first dataset of a config's test dataloader that has a pipeline.

    Raises:
        InputError: There is none.
    """
    for dataset in datasets_of(cfg.get('test_dataloader') or {}):
        if 'pipeline' in dataset:
            return dataset
    raise InputError(f'{cfg.filename}: test_dataloader has no dataset with a pipeline, which says how images are '
                     'resized for testing')


class Images:
    """Images as a config's test pipeline prepares them, without their labels: item i is (inputs, data_samples).

    Args:
        cfg: The config; its test pipeline prepares the images.
        real: Read the test dataset of the config; otherwise images are synthetic, `SYNTHETIC_SIZES` over and over.
        batch_size: An item is the image i so many times.
        size: Height and width of all synthetic images; None for `SYNTHETIC_SIZES`.

    Raises:
        InputError: The config has no test dataset, or that has no images.
    """
    mode = 'predict'

    def __init__(self, cfg: Config, real: bool, batch_size: int, size: tuple[int, int] | None = None):
        dataset = copy.deepcopy(find_test_dataset(cfg))
        scope = cfg.get('default_scope') or 'mmseg'
        self.reader, self.pipeline = build_test_pipeline(dataset.pop('pipeline'), scope)
        self.bands = bands_of(cfg)
        if not real and not isinstance(self.reader, (LoadBands, LoadImageFromFile)):
            raise InputError(f'{cfg.filename}: the test pipeline begins with {type(self.reader).__name__}, for which '
                             'there are no synthetic images; give data_root=DIR')
        self.batch_size = batch_size
        self.kind = 'real' if real else 'synthetic'
        self.sizes = SYNTHETIC_SIZES if size is None else (tuple(size), )
        self.dataset = None
        if real:
            for option in SKIP_OPTIONS:
                dataset.pop(option, None)
            dataset.update(pipeline=[], test_mode=True, serialize_data=False)  # mmengine cannot serialise nothing
            with DefaultScope.overwrite_default_scope(scope):
                self.dataset = DATASETS.build(dataset)
        if real and not len(self.dataset):
            raise InputError(f'{self.dataset.data_root}: the test dataset of {cfg.filename} finds no images there')

    def __len__(self) -> int:
        return len(self.sizes) if self.dataset is None else len(self.dataset)

    def name(self, index: int) -> str:
        """Returns what tells the image apart: its path, or its size."""
        index %= len(self)
        if self.dataset is None:
            return '{} x {}'.format(*self.sizes[index])
        return self.dataset.get_data_info(index)['img_path']

    def describe(self) -> str:
        """Returns where the images come from, for people."""
        if self.dataset is not None:
            return f'{len(self)} images of {self.dataset.data_prefix["img_path"]}'
        return SYNTHETIC if len(self) > 1 else f'synthetic noise of {self.name(0)}, resized by each test pipeline'

    def _read(self, index: int) -> dict:
        """Returns an image as the first step of the pipeline does."""
        index %= len(self)
        if self.dataset is not None:
            return self.reader(self.dataset.get_data_info(index))
        size = self.sizes[index]
        noise = np.random.default_rng(index).integers(0, 256, (*size, self.bands), dtype=np.uint8)
        as_float = isinstance(self.reader, LoadBands) or self.reader.to_float32
        return dict(img=noise.astype(np.float32) if as_float else noise, img_path=None, img_shape=size,
                    ori_shape=size)

    def prepare(self, index: int, model: nn.Module) -> tuple[Tensor, list]:
        """Returns inputs (B, bands, H, W) on the model's device, normalised and padded by it, and data samples.

        Raises:
            InputError: The pipeline fails on the image; names it.
        """
        try:
            packed = self.pipeline(self._read(index))
        except Exception as error:
            raise InputError(f'{self.name(index)}: the test pipeline fails on this image ({one_line(error)})'
                             ) from error
        batch = dict(inputs=[packed['inputs']] * self.batch_size,
                     data_samples=[copy.deepcopy(packed['data_samples']) for _ in range(self.batch_size)])
        batch = model.data_preprocessor(batch, False)
        return batch['inputs'], batch['data_samples']


class Crops:
    """Random crops, forward only: the throughput protocol of papers on token reduction. Item i is (inputs, None).

    Args:
        cfg: The config, which has the crop: `model.test_cfg.crop_size`, `model.data_preprocessor.size` or `crop_size`.
        batch_size: Crops in a batch.

    Raises:
        InputError: The config has no crop size.
    """
    mode, kind = 'tensor', 'crops'

    def __init__(self, cfg: Config, batch_size: int):
        sizes = ((cfg.model.get('test_cfg') or {}).get('crop_size'),
                 (cfg.model.get('data_preprocessor') or {}).get('size'), cfg.get('crop_size'))
        size = next((size for size in sizes if size), None)
        if size is None:
            raise InputError(f'{cfg.filename}: no crop size to measure throughput at; set crop_size=(H, W) in '
                             'the config')
        self.size, self.batch_size, self.bands = tuple(size), batch_size, bands_of(cfg)

    def __len__(self) -> int:
        return 1

    def name(self, index: int) -> str:
        """Returns what tells a batch apart: nothing but its size does."""
        return 'crop'

    def describe(self) -> str:
        """Returns what the crops are, for people."""
        return f'batches of {self.batch_size} random crops of {self.size[0]} x {self.size[1]}, forward only'

    def prepare(self, index: int, model: nn.Module) -> tuple[Tensor, None]:
        """Returns inputs (B, bands, H, W) on the model's device, and no data samples."""
        generator = torch.Generator().manual_seed(index)
        inputs = torch.randn(self.batch_size, self.bands, *self.size, generator=generator)
        return inputs.to(next(model.parameters()).device), None


def choose_source(cfg: Config, settings: Settings) -> Images | Crops:
    """Returns what a config is measured on.

    Raises:
        InputError: The config lacks what the protocol needs.
    """
    if settings.throughput:
        return Crops(cfg, settings.batch_size)
    return Images(cfg, settings.real, settings.batch_size, settings.image_size)


def check_same_images(sources: list[Images | Crops], count: int) -> None:
    """Checks that configs are measured on the same images.

    Raises:
        InputError: They read different ones.
    """
    def names(source) -> Iterator[str]:
        return (source.name(i) for i in range(min(count, max(map(len, sources)))))

    for source in sources[1:]:
        for ours, theirs in zip(names(sources[0]), names(source), strict=True):
            if ours != theirs:
                raise InputError(f'the configs read different images ({ours} and {theirs}), so their times cannot be '
                                 'compared; give data_root=DIR, or leave it out for synthetic images')
