# Table 1, latent head, erase: the paper's top-1 accuracy is 0.33 %.
_base_ = './table1_linear_add.py'
model = dict(model_args=dict(read_write_head='latent', fusion='erase'))
