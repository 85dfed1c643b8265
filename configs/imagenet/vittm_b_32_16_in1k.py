# ViTTM-B(49, 196), fine-tuned on ImageNet-1K, from vittm_b_32_16_in21k.py's checkpoint by --pretrained.
_base_ = '../_base_/imagenet/in1k.py'
model = dict(model_name='vittm_base_patch32_16_224')
