# Rare classes: MMSegmentation's Dice loss beside cross entropy.
_base_ = '../vittm_32_8_cell_mlp.py'
model = dict(
    decode_head=dict(
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_weight=1.0),
            dict(type='DiceLoss', use_sigmoid=False, loss_weight=1.0),
        ]))
