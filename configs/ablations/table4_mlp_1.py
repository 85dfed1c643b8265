# Table 4, memory MLP, r = 1.0: the paper's top-1 accuracy is 78.3 %.
_base_ = './table4_mlp_none.py'
model = dict(model_args=dict(memory_mlp_ratio=1.0))
