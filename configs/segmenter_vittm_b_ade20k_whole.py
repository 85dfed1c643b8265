# Segmenter on ViTTM-B(64, 64), trained on crops of 504 and tested on whole images instead of two overlapping windows:
# position embeddings are resampled to each image's grid. Nobody knows what that costs in mIoU on ADE20K.
_base_ = './segmenter_vittm_b_ade20k.py'
model = dict(test_cfg=dict(_delete_=True, mode='whole'))
