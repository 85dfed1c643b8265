# Table 1, linear head, add_erase: the paper's top-1 accuracy is 74.74 %.
_base_ = './table1_linear_add.py'
model = dict(model_args=dict(read_write_head='linear', fusion='add_erase'))
