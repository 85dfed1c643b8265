# Segmenter on ViT-Ti/16, on procedural scenes, at the recipe of segmenter_vittm_t_toy.py.
_base_ = './segmenter_vittm_t_toy.py'
model = dict(
    backbone=dict(_delete_=True, type='ViTBackbone', model_name='vit_tiny_patch16_224', img_size=_base_.crop_size),
    decode_head=dict(in_channels=192),
    auxiliary_head=dict(in_channels=192, channels=192))
