"""The paper's comparison, Table 8: ViTTM beside ViT, DeiT, CrossViT, Rev-ViT, LookupViT and ToMe, and Table 5 of it."""
from dataclasses import replace
from functools import partial

import timm
from torch import Tensor, nn

from ...backbones import LookupViT, RevViT
from .rows import IMAGE_SIZE, Row, tokens

CROSSVIT_SIZE = 240
REV_VIT = ("Rev-ViT-B's 86 M are those without its classifier: with one on both streams they are 87.3 M, and 87 M in "
           "Rev-ViT's own paper.")
LOOKUP_VIT = ("LookupViT's 90 M come out where all blocks share one cross-attention and one lookup MLP, as here; with "
              'their own (share_exchange=False) they are 122.1 M, by the same GFLOPs.')
# Our rows for those of the paper: name, parameters in millions, GFLOPs, milliseconds, top-1.
VITS = (
    ('ViT-S/16', 22, 4.25, 149.5, 74.2, 'vit_small_patch16_224'),
    ('DeiT-S/16', 22, 4.25, 152.0, 79.8, 'deit_small_patch16_224'),
    ('ViT-B/32', 88, 4.37, 138.3, 72.2, 'vit_base_patch32_224'),
    ('ViT-B/16', 87, 16.87, 529.5, 81.0, 'vit_base_patch16_224'),
    ('DeiT-B/16', 87, 16.87, 529.7, 81.8, 'deit_base_patch16_224'),
)
CROSSVITS = (
    ('CrossViT-S', 27, 5.63, 235.7, 81.0, 'crossvit_small_240'),
    ('CrossViT-15', 28, 5.81, 249.1, 82.3, 'crossvit_15_240'),
    ('CrossViT-15-dagger', 28, 6.13, 252.3, 81.5, 'crossvit_15_dagger_240'),
    ('CrossViT-B', 105, 21.22, 728.1, 82.2, 'crossvit_base_240'),
    ('CrossViT-18', 43, 9.05, 374.1, 82.5, 'crossvit_18_240'),
    ('CrossViT-18-dagger', 44, 9.50, 378.2, 82.8, 'crossvit_18_dagger_240'),
)
LOOKUPVITS = ((3, 5.26, 230.5, 77.9), (5, 6.94, 297.2, 81.6), (7, 9.45, 379.5, 83.0), (10, 14.80, 563.4, 83.9))
TOMES = (
    ('small', 'ViT-S/16', 22, ((2, 4.31, 172.7, 74.0), (4, 4.02, 161.6, 73.8), (8, 3.41, 138.2, 73.1),
                               (10, 3.14, 125.9, 72.5), (12, 2.85, 115.2, 71.6), (14, 2.57, 103.3, 70.4),
                               (16, 2.30, 94.0, 68.1))),
    ('base', 'ViT-B/16', 86, ((2, 16.46, 551.1, 81.0), (4, 15.34, 515.7, 80.9), (8, 13.12, 440.6, 80.4),
                              (10, 12.02, 402.0, 80.1), (12, 10.93, 367.0, 79.6), (14, 9.84, 330.2, 78.9),
                              (16, 8.78, 296.4, 77.6))),
)
VITTMS = (('S', 'small', 64, 64, 33, 1.84, 77.7, 79.2), ('B', 'base', 64, 64, 127, 7.08, 234.1, 82.9),
          ('B', 'base', 49, 196, 125, 7.10, 251.5, 80.9))


class Pooled(nn.Module):
    """The mean of a backbone's last map, and a linear classifier on it.

    Args:
        backbone: Gives maps (B, C, h, w).
        channels: C.
        num_classes: Classes K; 0 for no classifier.
    """

    def __init__(self, backbone: nn.Module, channels: int, num_classes: int):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(channels, num_classes) if num_classes else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Returns logits (B, K), or pooled features (B, C), of images (B, 3, H, W)."""
        return self.head(self.backbone(images)[-1].mean(dim=(2, 3)))


def _rev_vit() -> nn.Module:
    return Pooled(RevViT(arch='base', img_size=IMAGE_SIZE), 1536, 0)


def _lookup_vit(side: int) -> nn.Module:
    backbone = LookupViT(arch='base', img_size=IMAGE_SIZE, compressed_grid=side, share_exchange=True)
    return Pooled(backbone, 768, 1000)


def table8() -> list[Row]:
    """The comparison, in full."""
    rows = [Row(8, name, gflops, latency, top1, params, vit=model)
            for name, params, gflops, latency, top1, model in VITS]
    rows += [Row(8, name, gflops, latency, top1, params, vit=model, image_size=CROSSVIT_SIZE, attention=True)
             for name, params, gflops, latency, top1, model in CROSSVITS]
    rows += [Row(8, 'Rev-ViT-B', 17.49, 556.5, 81.8, 86, make=_rev_vit, attention=True, note=REV_VIT)]
    rows += [Row(8, f'LookupViT {side}x{side}', gflops, latency, top1, 90, make=partial(_lookup_vit, side),
                 note=LOOKUP_VIT) for side, gflops, latency, top1 in LOOKUPVITS]
    rows += [Row(8, f'{vit} ToMe r={r}', gflops, latency, top1, params, attention=True,
                 make=partial(timm.create_model, f'tome_vit_{size}_patch16_224', merge_tokens=r))
             for size, vit, params, of_size in TOMES for r, gflops, latency, top1 in of_size]
    return rows + [Row(8, f'ViTTM-{size}({process}, {memory})', gflops, latency, top1, params, dict(
        arch=arch, **tokens(process, memory))) for size, arch, process, memory, params, gflops, latency, top1 in VITTMS]


def table5() -> list[Row]:
    """The comparison; which of Table 8's rows the paper prints here is not on our record, so all of them."""
    return [replace(row, table=5) for row in table8()]
