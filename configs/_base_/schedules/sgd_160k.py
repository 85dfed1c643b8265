# 160k iterations of SGD, as the authors train Segmenters on ADE20K. The learning rate is ViTTM-B(64, 64)'s; averaging
# the weights is a file of its own, weight_average.py.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=5e-4, momentum=0.9, weight_decay=0.0))
param_scheduler = [dict(type='PolyLR', power=0.9, eta_min=1e-4, begin=0, end=160000, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
