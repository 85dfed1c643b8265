# Rare classes: cross entropy with weights of classes, see class_weight.py, and the Lovász-Softmax loss.
_base_ = './class_weight.py'
model = dict(
    decode_head=dict(
        loss_decode=[
            dict(
                type='CrossEntropyLoss',
                class_weight=[0.88, 0.75, 3.81, 0.64, 1.77, 1.17, 3.4, 3.5, 1.46, 4.89, 7.17],
                loss_weight=1.0),
            dict(type='LovaszLoss', reduction='none', loss_weight=1.0),
        ]))
