# Table 2, latent dims d/4: the paper's top-1 accuracy is 78.4 %.
# ViTTM-B(49, 196), linear head, add: what the other rows inherit. The model of configs/imagenet/vittm_b_32_16_in1k.py.
_base_ = '../_base_/imagenet/in1k_scratch.py'
model = dict(model_name='vittm_base_patch32_16_224', model_args=dict(latent_dims=192))
