# Segmenter's mask transformer on a plain ViT: the baselines of the paper's Table 6.
_base_ = './segmenter_vittm.py'
model = dict(
    backbone=dict(_delete_=True, type='ViTBackbone', model_name='vit_base_patch16_224'),
    decode_head=dict(in_channels=768))
