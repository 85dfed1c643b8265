# Plain ViT-B/32 by ViTTM's recipe, the control of ViTTM-B: fine-tuning, from vit_b_32_in21k.py's checkpoint by
# --pretrained.
_base_ = '../_base_/imagenet/in1k.py'
model = dict(
    type='ImageClassifier',
    model_name='vit_base_patch32_224',
    num_classes=1000,
    img_size=224,
    drop_path_rate=0.1,
    loss='binary_cross_entropy',
    mixup=0.8,
    cutmix=0.8)
