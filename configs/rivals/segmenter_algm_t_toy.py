# Segmenter on ViT-Ti/16 with ALGM, on procedural scenes, at adaptive thresholds.
_base_ = '../segmenter_vit_t_toy.py'
model = dict(backbone=dict(type='ALGM'))
