# A Token Turing Machine across the frames of ../camvid/vittm_32_8_cell_mlp.py, which is trained already:
# --cfg-options model.frame_checkpoint=FILE
_base_ = [
    '../_base_/models/video_vittm.py', '../_base_/datasets/camvid_clips.py', '../_base_/schedules/adamw_stream.py'
]
model = dict(
    frozen=True,
    data_preprocessor=dict(size=_base_.crop_size),
    temporal=dict(type='MachineMemory', in_channels=(192, 192), into=(0, 1)))
