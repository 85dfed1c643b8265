# ViTTM(32/8), only the memory tokens in the map.
_base_ = './vittm_32_8.py'
model = dict(backbone=dict(out_tokens='memory'), decode_head=dict(in_channels=192, channels=192))
