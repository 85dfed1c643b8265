# ViTTM-T(64, 64), pre-trained on ImageNet-21K-P.
_base_ = '../_base_/imagenet/in21k.py'
model = dict(model_name='vittm_tiny_patch28_224')
