# Table 3, ViT-B/16, 196 tokens: the paper's top-1 accuracy is 81.0 %.
_base_ = '../_base_/imagenet/in1k_scratch.py'
model = dict(model_name='vit_base_patch16_224')
