# Segmenter on ViTTM-B(49, 196): crop 512, 16 x 16 process and 32 x 32 memory tokens; the map is the process tokens'.
# By the authors' config: 480k iterations, learning rate 4e-3, 4 images per GPU, weights averaged.
_base_ = [
    '_base_/models/segmenter_vittm.py', '_base_/datasets/ade20k.py',
    '_base_/schedules/sgd_480k.py', '_base_/schedules/weight_average.py', '_base_/default_runtime.py'
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(
        img_size=_base_.crop_size, process_patch_size=32, memory_patch_size=16, out_tokens='process'),
    decode_head=dict(in_channels=768),
    test_cfg=dict(crop_size=_base_.crop_size))
total_batch_size = None  # published is the batch per GPU, not on how many GPUs
train_dataloader = dict(batch_size=4)
