# ViTTM-T(64, 64), pre-trained on ImageNet-21K-P.
_base_ = '../_base_/imagenet/in21k.py'
model = dict(
    type='ImageClassifier',
    model_name='vittm_tiny_patch28_224',
    num_classes=10450,
    img_size=224,
    drop_path_rate=0.1)
