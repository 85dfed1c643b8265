# ViTTM(16/8) whose process tokens merge: an eighth of them in each of six blocks, which leaves a quarter.
_base_ = './vittm_16_8.py'
model = dict(backbone=dict(merge_tokens=0.125))
