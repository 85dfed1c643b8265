# ViTTM(process 32, memory 16) with a linear head, to be begun from the ViT/16 of vit_t16_toy.py by --warm-start.
_base_ = './vit_t16_toy.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='ViTTM',
        arch=dict(embed_dims=192, num_layers=6, num_heads=3, mlp_ratio=4.0),
        img_size=_base_.crop_size,
        process_patch_size=32,
        memory_patch_size=16),
    decode_head=dict(in_channels=384, channels=384))
