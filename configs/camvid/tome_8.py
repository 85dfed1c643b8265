# ToMe on ViT/8: each of six blocks merges an eighth of the patches away, which leaves a quarter: as many as ViT/16 has.
_base_ = './vit_8.py'
model = dict(backbone=dict(type='ToMe', merge_tokens=0.125))
