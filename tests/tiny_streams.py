"""Tiny segmentors of videos."""
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from tiny_models import ROOT

from mmseg_vittm.ttm.process import TransformerBlock

CLASSES = 5
MEMORY = dict(type='MachineMemory', in_channels=(48, 48), into=(0, 1), embed_dims=32, num_memory_tokens=6,
              num_process_tokens=7, mlp_dims=64, pool=(1, 2), read_dims=16)
PAST = dict(type='PastAttention', in_channels=(48, 48), into=(0, 1), num_frames=3, embed_dims=32, pool=(1, 2),
            read_dims=16)


def stream_config(temporal: dict | None = None, **changes) -> ConfigDict:
    """A narrow ViTTM with a linear head in a StreamSegmentor; process patches of 28 pixels, memory patches of 14."""
    cfg = Config.fromfile(ROOT / 'configs' / 'video' / 'camvid_ttm.py').model
    cfg.backbone.update(arch=dict(embed_dims=48, num_layers=2, num_heads=3, mlp_ratio=2.0), img_size=(56, 56),
                        process_patch_size=28, memory_patch_size=14)
    cfg.decode_head.update(in_channels=96, channels=96, num_classes=CLASSES)
    cfg.update(temporal=temporal, frozen=False)
    cfg.update(changes)
    return cfg


def build(cfg: ConfigDict, seed: int = 0):
    """The model of a config in evaluation mode, with the same weights at every call."""
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MODELS.build(cfg).eval()


def segmentor(temporal: dict | None = None, trained: bool = False, **changes):
    """A segmentor of videos; `trained` has its temporal module say something."""
    model = build(stream_config(temporal, **changes))
    for read in model.temporal.reads if trained else ():
        torch.nn.init.normal_(read.out.weight, std=0.06)
    for layer in model.temporal.modules() if trained else ():
        if isinstance(layer, TransformerBlock):
            torch.nn.init.normal_(layer.attention.proj.weight, std=0.1)
            torch.nn.init.normal_(layer.mlp.fc2.weight, std=0.1)
    return model


def frames(count: int = 6, streams: int = 1, size: tuple[int, int] = (70, 84), seed: int = 3) -> torch.Tensor:
    """Normalised frames (count, streams, 3, H, W) that change little from one to the next."""
    generator = torch.Generator().manual_seed(seed)
    scene = torch.nn.functional.interpolate(torch.randn(streams, 3, 6, 6, generator=generator), size)
    return torch.stack([scene + 0.3 * torch.randn(streams, 3, *size, generator=generator) for _ in range(count)])


def samples(inputs: torch.Tensor, **meta) -> list[SegDataSample]:
    size = tuple(inputs.shape[2:])
    return [SegDataSample(metainfo=dict(ori_shape=size, img_shape=size, **meta)) for _ in inputs]


def clip_samples(inputs: torch.Tensor, length: int, unlabelled: tuple[int, ...] = ()) -> list[SegDataSample]:
    """Of clips (B * K, 3, H, W), clip by clip, with random labels."""
    generator = torch.Generator().manual_seed(4)
    made = samples(inputs, clip_length=length)
    for row, sample in enumerate(made):
        labels = torch.randint(CLASSES, (1, *inputs.shape[2:]), generator=generator)
        sample.gt_sem_seg = PixelData(data=labels)
        sample.set_metainfo(dict(is_labelled=row not in unlabelled))
    return made


def ready(model):
    """The model with what a `Predictor` asks of it: a config, frames of any size as they are, and names of classes."""
    model.cfg = Config.fromfile(ROOT / 'configs' / 'video' / 'camvid_ttm.py')
    model.cfg.test_pipeline = [model.cfg.test_pipeline[0], dict(type='PackSegInputs')]
    numbers = range(CLASSES)
    model.dataset_meta = dict(classes=[f'class {n}' for n in numbers], palette=[[n, n, n] for n in numbers])
    return model
