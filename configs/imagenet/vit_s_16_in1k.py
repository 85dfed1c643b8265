# Plain ViT-S/16 by ViTTM's recipe, to compare with: fine-tuning, from vit_s_16_in21k.py's checkpoint by --pretrained.
_base_ = '../_base_/imagenet/in1k.py'
model = dict(
    type='ImageClassifier',
    model_name='vit_small_patch16_224',
    num_classes=1000,
    img_size=224,
    drop_path_rate=0.1,
    loss='binary_cross_entropy',
    mixup=0.8,
    cutmix=0.8)
