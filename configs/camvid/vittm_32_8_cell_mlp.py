# ViTTM(32/8) with cells, see vittm_32_8_cell.py, and the MLP of vittm_32_8_mlp.py on its memory.
_base_ = './vittm_32_8_cell.py'
model = dict(backbone=dict(memory_mlp_ratio=0.5))
