"""Teachers of every kind, small: configs, and checkpoints of untrained weights."""
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.structures import PixelData
from mmseg.apis import init_model
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_vittm.engine.distillation.options import DistillationOptions
from mmseg_vittm.engine.distillation.student import give_teacher

CLASSES = ('sky', 'road', 'tree', 'car')
NORM = dict(type='BN', requires_grad=True)
OURS = dict(type='SegDataPreProcessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True, pad_val=0, seg_pad_val=255,
            size=(64, 64))
IMAGENET = dict(OURS, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
HEAD = dict(num_classes=len(CLASSES), align_corners=False)


def vittm() -> dict:
    """Our own, two maps of 24 channels a stream."""
    return dict(
        type='SlideSegmentor', data_preprocessor=OURS,
        backbone=dict(type='ViTTM', img_size=64, process_patch_size=16, memory_patch_size=8, out_tokens='memory',
                      arch=dict(embed_dims=24, num_layers=2, num_heads=2, mlp_ratio=2.0), out_indices=(0, 1)),
        decode_head=dict(type='FCNHead', in_channels=24, in_index=-1, channels=16, num_convs=1, norm_cfg=NORM,
                         concat_input=False, **HEAD),
        train_cfg=dict(), test_cfg=dict(mode='whole'))


def segformer() -> dict:
    """MMSegmentation's, of other normalisation, padded to multiples of 32 where it is tested."""
    return dict(
        type='EncoderDecoder', data_preprocessor=dict(IMAGENET, test_cfg=dict(size_divisor=32)),
        backbone=dict(type='MixVisionTransformer', embed_dims=8, num_layers=[1, 1, 1, 1], num_heads=[1, 1, 1, 1],
                      sr_ratios=[8, 4, 2, 1]),
        decode_head=dict(type='SegformerHead', in_channels=[8] * 4, in_index=[0, 1, 2, 3], channels=16,
                         norm_cfg=NORM, **HEAD),
        train_cfg=dict(), test_cfg=dict(mode='whole'))


def segnext() -> dict:
    """MMSegmentation's, whose decoder draws random numbers."""
    return dict(
        type='EncoderDecoder', data_preprocessor=dict(IMAGENET, test_cfg=dict(size_divisor=32)),
        backbone=dict(type='MSCAN', embed_dims=[8, 8, 16, 16], depths=[1, 1, 1, 1], norm_cfg=NORM,
                      mlp_ratios=[2, 2, 2, 2], act_cfg=dict(type='GELU'),
                      attention_kernel_sizes=[5, [1, 7], [1, 11], [1, 21]],
                      attention_kernel_paddings=[2, [0, 3], [0, 5], [0, 10]]),
        decode_head=dict(type='LightHamHead', in_channels=[8, 16, 16], in_index=[1, 2, 3], channels=32, ham_channels=32,
                         norm_cfg=dict(type='GN', num_groups=8), ham_kwargs=dict(MD_R=8), **HEAD),
        train_cfg=dict(), test_cfg=dict(mode='whole'))


def unet() -> dict:
    """MMSegmentation's, with an auxiliary head, tested in windows."""
    fcn = dict(type='FCNHead', channels=8, num_convs=1, norm_cfg=NORM, concat_input=False, **HEAD)
    return dict(
        type='EncoderDecoder', data_preprocessor=dict(IMAGENET, bgr_to_rgb=False),
        backbone=dict(type='UNet', base_channels=8, num_stages=3, strides=(1, 1, 1), enc_num_convs=(1, 1, 1),
                      dec_num_convs=(1, 1), downsamples=(True, True), enc_dilations=(1, 1, 1), dec_dilations=(1, 1),
                      norm_cfg=NORM),
        decode_head=dict(in_channels=8, in_index=2, **fcn), auxiliary_head=dict(in_channels=16, in_index=1, **fcn),
        train_cfg=dict(), test_cfg=dict(mode='slide', crop_size=(48, 48), stride=(32, 32)))


KINDS = dict(vittm=vittm, segformer=segformer, segnext=segnext, unet=unet)


def write_teacher(folder: Path, kind: str = 'segformer', classes: tuple[str, ...] = CLASSES) -> tuple[str, str]:
    """Writes a teacher's config and checkpoint; its weights are drawn, and its norms' statistics too."""
    config, checkpoint, model = folder / f'{kind}.py', folder / f'{kind}.pth', KINDS[kind]()
    model['decode_head'].update(num_classes=len(classes))
    Config(dict(model=model, default_scope='mmseg')).dump(config)
    torch.manual_seed(5)
    model = revert_sync_batchnorm(init_model(str(config), device='cpu'))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    palette = [[10 * number] * 3 for number in range(len(classes))]
    torch.save(dict(meta=dict(dataset_meta=dict(classes=classes, palette=palette)), state_dict=model.state_dict()),
               checkpoint)
    return str(config), str(checkpoint)


def student(folder: Path, kind: str = 'vittm') -> nn.Module:
    """A segmentor to be taught, the same weights at every call."""
    config = folder / f'student_{kind}.py'
    Config(dict(model=KINDS[kind](), default_scope='mmseg')).dump(config)
    torch.manual_seed(1)
    return init_model(str(config), device='cpu').train()


def taught(folder: Path, teacher: str = 'segformer', kind: str = 'vittm', dtype: str = 'fp32', **section) -> nn.Module:
    """A segmentor with a teacher."""
    config, checkpoint = write_teacher(folder, teacher)
    model = student(folder, kind)
    give_teacher(model, DistillationOptions.of(dict(
        teacher=dict(config=config, checkpoint=checkpoint, dtype=dtype), **section)), 'cpu')
    return model


def batch(*sizes: tuple[int, int]) -> dict:
    """Random images (uint8, BGR) and labels, a few of them void, as a data loader gives them."""
    generator, samples, images = torch.Generator().manual_seed(3), [], []
    for height, width in sizes:
        images.append(torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8))
        labels = torch.randint(0, len(CLASSES), (1, height, width), generator=generator)
        labels[:, :8, :8] = 255
        sample = SegDataSample(metainfo=dict(img_shape=(height, width), ori_shape=(height, width)))
        sample.set_data(dict(gt_sem_seg=PixelData(data=labels)))
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


