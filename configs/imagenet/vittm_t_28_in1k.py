# ViTTM-T(64, 64), fine-tuned on ImageNet-1K, from vittm_t_28_in21k.py's checkpoint by --pretrained.
_base_ = '../_base_/imagenet/in1k.py'
model = dict(model_name='vittm_tiny_patch28_224')
