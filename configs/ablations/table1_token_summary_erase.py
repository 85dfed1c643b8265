# Table 1, token_summary head, erase: the paper's top-1 accuracy is 72.49 %.
_base_ = './table1_linear_add.py'
model = dict(model_args=dict(read_write_head='token_summary', fusion='erase'))
