# Rare classes: online hard example mining, the pixels with a probability below 0.7, a sixteenth of each crop at least.
_base_ = '../vittm_32_8_cell_mlp.py'
model = dict(decode_head=dict(sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=2304)))
