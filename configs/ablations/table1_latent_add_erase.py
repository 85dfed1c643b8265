# Table 1, latent head, add_erase: the paper's top-1 accuracy is 75.82 %.
_base_ = './table1_linear_add.py'
model = dict(model_args=dict(read_write_head='latent', fusion='add_erase'))
