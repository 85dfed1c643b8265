# Table 1, cross head, add: the paper's top-1 accuracy is 76.26 %.
_base_ = './table1_linear_add.py'
model = dict(model_args=dict(read_write_head='cross', fusion='add'))
