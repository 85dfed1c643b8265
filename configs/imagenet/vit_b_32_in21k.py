# Plain ViT-B/32 by ViTTM's recipe, the control of ViTTM-B: pre-training.
_base_ = '../_base_/imagenet/in21k.py'
model = dict(
    type='ImageClassifier',
    model_name='vit_base_patch32_224',
    num_classes=10450,
    img_size=224,
    drop_path_rate=0.1)
