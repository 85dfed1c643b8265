# segmenter_vittm_t_toy.py whose process tokens merge: 32 of 256 in each of four blocks.
_base_ = '../segmenter_vittm_t_toy.py'
model = dict(backbone=dict(merge_tokens=32))
