# ALGM on ViT/8, at adaptive thresholds: windows of 2 x 2 tokens merge in the first block, pairs in the third of six.
_base_ = './vit_8.py'
model = dict(backbone=dict(type='ALGM', local_threshold='adaptive', global_threshold='adaptive', global_layer=2))
