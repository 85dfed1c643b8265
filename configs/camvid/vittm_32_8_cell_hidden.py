# ViTTM(32/8) with cells and one hidden layer per token in the decode head.
_base_ = './vittm_32_8_cell.py'
model = dict(decode_head=dict(channels=192, num_convs=1, kernel_size=1))
