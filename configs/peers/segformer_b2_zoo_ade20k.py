# SegFormer-B2 as MMSegmentation's model zoo has it: a decoder 256 wide instead of the paper's 768, 45.58 mIoU.
_base_ = './segformer_b2_ade20k.py'
model = dict(decode_head=dict(channels=256))
