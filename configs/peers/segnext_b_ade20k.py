# SegNeXt-B as its paper has it: 27.6 M parameters, 34.9 GFLOPs at 512 x 512, 48.5 mIoU. MMSegmentation's model zoo
# factorises with 16 bases instead of 64 (ham_kwargs MD_R) and reports 48.03.
_base_ = [
    '../_base_/models/segnext.py', '../_base_/datasets/ade20k.py',
    '../_base_/schedules/adamw_160k.py', '../_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(depths=[3, 3, 12, 3]),
    decode_head=dict(
        channels=512,
        ham_channels=512,
        ham_kwargs=dict(MD_S=1, MD_R=64, train_steps=6, eval_steps=7, inv_t=100, rand_init=True)))
