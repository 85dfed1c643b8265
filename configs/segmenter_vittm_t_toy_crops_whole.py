# segmenter_vittm_t_toy_crops.py on whole scenes: position embeddings are resampled from 12 x 12 to 16 x 16 tokens.
_base_ = './segmenter_vittm_t_toy_crops.py'
model = dict(test_cfg=dict(_delete_=True, mode='whole'))
