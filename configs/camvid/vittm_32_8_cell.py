# ViTTM(32/8) whose process tokens read and write the memory tokens of their own patch, see mmseg_vittm/vittm/cells.py.
_base_ = './vittm_32_8.py'
model = dict(backbone=dict(read_write_head='cell'))
