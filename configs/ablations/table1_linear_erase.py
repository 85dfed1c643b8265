# Table 1, linear head, erase: the paper's top-1 accuracy is 2.43 %.
_base_ = './table1_linear_add.py'
model = dict(model_args=dict(read_write_head='linear', fusion='erase'))
