# ViTTM(32/8) with cells and memory MLP, as of configs/camvid/vittm_32_8_cell_mlp.py, for videos: without `temporal`
# frame by frame, and test_cfg.smoothing can be set.
_base_ = './laboratory_vittm.py'
model = dict(
    type='StreamSegmentor',
    backbone=dict(
        img_size=(192, 192),
        process_patch_size=32,
        memory_patch_size=8,
        read_write_head='cell',
        memory_mlp_ratio=0.5))
