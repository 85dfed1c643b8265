# Table 3, ViTTM-B(16, 64): the paper's top-1 accuracy is 70.4 %.
_base_ = './table3_49_196.py'
model = dict(model_args=dict(process_patch_size=56, memory_patch_size=28))
