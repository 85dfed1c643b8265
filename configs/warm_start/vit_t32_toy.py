# The control, ViT/32 with a linear head, to be begun from the ViT/16 of vit_t16_toy.py by --warm-start.
_base_ = './vit_t16_toy.py'
model = dict(backbone=dict(patch_size=32))
