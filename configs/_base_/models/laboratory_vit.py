# The plain ViT beside laboratory_vittm.py: the same width, blocks and head. A config that inherits this sets the
# patch size, and every size from its `crop_size`.
_base_ = './laboratory_vittm.py'
model = dict(
    backbone=dict(_delete_=True, type='ViTBackbone', model_name='vit_tiny_patch16_224', num_layers=6),
    decode_head=dict(in_channels=192, channels=192))
