# Table 1, token_summary head, add: the paper's top-1 accuracy is 75.86 %.
_base_ = './table1_linear_add.py'
model = dict(model_args=dict(read_write_head='token_summary', fusion='add'))
