# Plain ViT-S/16 by ViTTM's recipe, to compare with: fine-tuning, from vit_s_16_in21k.py's checkpoint by --pretrained.
_base_ = '../_base_/imagenet/in1k.py'
model = dict(model_name='vit_small_patch16_224')
