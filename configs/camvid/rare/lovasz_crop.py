# Rare classes: the Lovász-Softmax loss, and the images and crops of sampler_crop.py.
_base_ = ['./sampler_crop.py']
model = dict(
    decode_head=dict(
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_weight=1.0),
            dict(type='LovaszLoss', reduction='none', loss_weight=1.0),
        ]))
