# Table 2, latent dims d/2: the paper's top-1 accuracy is 78.0 %.
_base_ = './table2_latent_192.py'
model = dict(model_args=dict(latent_dims=384))
