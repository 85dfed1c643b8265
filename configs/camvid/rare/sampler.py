# Rare classes: images drawn by the inverse frequency of their classes.
_base_ = '../vittm_32_8_cell_mlp.py'
train_dataloader = dict(sampler=dict(type='RareClassSampler'))
