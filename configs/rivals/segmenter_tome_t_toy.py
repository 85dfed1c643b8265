# Segmenter on ViT-Ti/16 with token merging (ToMe), on procedural scenes: 4 of 64 tokens merge in each of 12 blocks.
_base_ = '../segmenter_vit_t_toy.py'
model = dict(backbone=dict(type='ToMe', merge_tokens=4))
