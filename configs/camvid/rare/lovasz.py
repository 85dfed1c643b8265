# Rare classes: MMSegmentation's Lovász-Softmax loss beside cross entropy.
_base_ = '../vittm_32_8_cell_mlp.py'
model = dict(
    decode_head=dict(
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_weight=1.0),
            dict(type='LovaszLoss', reduction='none', loss_weight=1.0),
        ]))
