# Table 1, cross head, add_erase: the paper's top-1 accuracy is 76.33 %.
_base_ = './table1_linear_add.py'
model = dict(model_args=dict(read_write_head='cross', fusion='add_erase'))
