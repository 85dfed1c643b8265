# SegNeXt-S as its paper has it: 13.9 M parameters, 15.9 GFLOPs at 512 x 512, 44.3 mIoU.
_base_ = [
    '../_base_/models/segnext.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/adamw_160k.py', '../_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(depths=[2, 2, 4, 2]),
    decode_head=dict(
        channels=256,
        ham_channels=256,
        ham_kwargs=dict(MD_S=1, MD_R=16, train_steps=6, eval_steps=7, inv_t=100, rand_init=True)))
