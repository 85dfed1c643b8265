# Plain ViT-B/32 by ViTTM's recipe, the control of ViTTM-B: fine-tuning, from vit_b_32_in21k.py's checkpoint by
# --pretrained.
_base_ = '../_base_/imagenet/in1k.py'
model = dict(model_name='vit_base_patch32_224')
