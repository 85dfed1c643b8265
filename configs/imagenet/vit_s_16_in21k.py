# Plain ViT-S/16 by ViTTM's recipe, to compare with: pre-training.
_base_ = '../_base_/imagenet/in21k.py'
model = dict(
    type='ImageClassifier',
    model_name='vit_small_patch16_224',
    num_classes=10450,
    img_size=224,
    drop_path_rate=0.1)
