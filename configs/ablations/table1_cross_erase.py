# Table 1, cross head, erase: the paper's top-1 accuracy is 3.94 %.
_base_ = './table1_linear_add.py'
model = dict(model_args=dict(read_write_head='cross', fusion='erase'))
