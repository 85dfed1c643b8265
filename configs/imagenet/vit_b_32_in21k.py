# Plain ViT-B/32 by ViTTM's recipe, the control of ViTTM-B: pre-training.
_base_ = '../_base_/imagenet/in21k.py'
model = dict(model_name='vit_base_patch32_224')
