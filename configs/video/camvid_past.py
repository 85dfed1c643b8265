# Causal attention over the last 8 frames' tokens in the place of camvid_ttm.py's machine.
_base_ = './camvid_ttm.py'
model = dict(
    temporal=dict(_delete_=True, type='PastAttention', in_channels=(192, 192), into=(0, 1), num_frames=8))
