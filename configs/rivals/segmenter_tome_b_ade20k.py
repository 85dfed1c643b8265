# Segmenter on ViT-B/16 with token merging (ToMe): each of 12 blocks merges 51 of 1024 tokens away, 412 are left.
# Nobody has published it; we take ViT-B/16's recipe.
_base_ = '../segmenter_vit_b_ade20k.py'
model = dict(backbone=dict(type='ToMe', merge_tokens=0.05))
