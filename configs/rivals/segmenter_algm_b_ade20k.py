# Segmenter on ViT-B/16 with ALGM, at adaptive thresholds. Its paper fine-tunes a trained Segmenter, by another recipe;
# we take ViT-B/16's, so that both compare.
_base_ = '../segmenter_vit_b_ade20k.py'
model = dict(backbone=dict(type='ALGM'))
