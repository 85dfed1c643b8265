# ViT/16 with one hidden layer per token in the decode head.
_base_ = './vit_16.py'
model = dict(decode_head=dict(channels=192, num_convs=1, kernel_size=1))
