# 480k iterations of SGD at the learning rate of ViTTM-B(49, 196).
_base_ = './sgd_160k.py'
optim_wrapper = dict(optimizer=dict(lr=4e-3))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-4, begin=0, end=480000, by_epoch=False)]
train_cfg = dict(max_iters=480000)
