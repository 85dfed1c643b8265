# ViTTM-B(49, 196), pre-trained on ImageNet-21K-P.
_base_ = '../_base_/imagenet/in21k.py'
model = dict(
    type='ImageClassifier',
    model_name='vittm_base_patch32_16_224',
    num_classes=10450,
    img_size=224,
    drop_path_rate=0.1)
