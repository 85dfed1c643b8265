# ViTTM-B(64, 64), fine-tuned on ImageNet-1K, from vittm_b_28_in21k.py's checkpoint by --pretrained.
_base_ = '../_base_/imagenet/in1k.py'
model = dict(model_name='vittm_base_patch28_224')
