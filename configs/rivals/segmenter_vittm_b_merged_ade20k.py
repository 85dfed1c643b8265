# Segmenter on ViTTM-B(64, 64) whose process tokens merge: each of 12 blocks merges 16 of 324 away, 132 are left.
# Nobody has published it; we take ViTTM-B(64, 64)'s recipe.
_base_ = '../segmenter_vittm_b_ade20k.py'
model = dict(backbone=dict(merge_tokens=0.05))
