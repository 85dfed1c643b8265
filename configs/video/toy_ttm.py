# A Token Turing Machine across the frames of toy_frame.py, which is trained already:
# --cfg-options model.frame_checkpoint=FILE
_base_ = [
    '../_base_/models/video_vittm.py', '../_base_/datasets/moving_toy.py', '../_base_/schedules/adamw_stream.py'
]
model = dict(
    frozen=True,
    data_preprocessor=dict(size=_base_.crop_size),
    decode_head=dict(num_classes=14),
    temporal=dict(type='MachineMemory', in_channels=(192, 192), into=(0, 1)))
total_batch_size = 2  # clips
train_dataloader = dict(batch_size=total_batch_size, dataset=dict(clip_length=8))
