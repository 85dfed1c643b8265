# Table 2, latent dims d: the paper's top-1 accuracy is 78.3 %.
_base_ = './table2_latent_192.py'
model = dict(model_args=dict(latent_dims=768))
