# ViTTM(32/8) with the paper's MLP on the memory tokens of each block, of half the width: their only nonlinearity.
_base_ = './vittm_32_8.py'
model = dict(backbone=dict(memory_mlp_ratio=0.5))
