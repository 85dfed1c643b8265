# Segmenter on ViT-B/16 fine-tuned at 384: the paper's stronger baseline. Its score is published, its recipe is not:
# we assume that of ViT-B/16 fine-tuned at 224 (learning rate 1e-3, 8 images per GPU, weights not averaged).
_base_ = './segmenter_vit_b_ade20k.py'
model = dict(backbone=dict(model_name='vit_base_patch16_384'))
