# Segmenter on ViT-B/32: the control for patch size that the paper's Table 6 leaves out. It has no published recipe: we
# take that of ViT-B/16 fine-tuned at 224, so that the two differ in their patches alone.
_base_ = './segmenter_vit_b_ade20k.py'
model = dict(backbone=dict(model_name='vit_base_patch32_224'))
