# Table 3, ViTTM-B(49, 256): the paper's top-1 accuracy is 79.8 %.
_base_ = './table3_49_196.py'
model = dict(model_args=dict(process_patch_size=32, memory_patch_size=14))
