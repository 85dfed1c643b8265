# Table 3, ViT-B/32, 49 tokens: the paper's top-1 accuracy is 72.2 %.
_base_ = '../_base_/imagenet/in1k_scratch.py'
model = dict(model_name='vit_base_patch32_224')
