# Table 1, linear head, add: the paper's top-1 accuracy is 76.26 %.
# ViTTM-S(49, 196), latent dims = embed dims: what the table's other rows inherit.
_base_ = '../_base_/imagenet/in1k_scratch.py'
model = dict(
    model_name='vittm_small_patch28_224',
    model_args=dict(
        process_patch_size=32, memory_patch_size=16, latent_dims=384, read_write_head='linear', fusion='add'))
