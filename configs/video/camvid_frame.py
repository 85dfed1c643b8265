# CamVid frame by frame, as ../camvid/vittm_32_8_cell_mlp.py, whose checkpoints it takes: to be scored as a video.
_base_ = [
    '../_base_/models/video_vittm.py', '../_base_/datasets/camvid_clips.py', '../_base_/schedules/adamw_laboratory.py'
]
model = dict(data_preprocessor=dict(size=_base_.crop_size))
