# Plain ViT-S/16 by ViTTM's recipe, to compare with: pre-training.
_base_ = '../_base_/imagenet/in21k.py'
model = dict(model_name='vit_small_patch16_224')
