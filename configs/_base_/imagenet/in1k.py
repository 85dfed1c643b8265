# Fine-tuning on ImageNet-1K, the second stage of the paper's Table 7: 300 epochs, 5 of them warm-up, batch 2048. Begins
# from the first stage by --pretrained, whose head is replaced.
# Theirs: learning rate 0.25e-4, weight decay 0.1, RandAugment of 2 operations at magnitude 20, mixup 0.8 and CutMix
# 0.8, binary cross entropy, random erasing 0.25. Not said anew, and taken over from the first stage: the warm-up's and
# the last learning rate, drop path, clipping, averaging. timm's scale of magnitudes ends at 10, which 'rand-m20' stands
# for there; 'rand-m20-n2-mmax20' would go twice as far, where timm's operations make little sense. Mixup and CutMix
# take turns by chance, and the loss is the mean over the classes, as in timm.
_base_ = './in21k.py'
data_root = 'data/imagenet'
images, total_batch_size = 1281167, 2048
image_size = 224
model = dict(num_classes=1000, loss='binary_cross_entropy', mixup=0.8, cutmix=0.8)
train_pipeline = [
    dict(type='DecodeImage'),
    dict(type='TimmTransform', image_size=image_size, training=True, scale=(0.08, 1.0), hflip=0.5,
         auto_augment='rand-m20-n2', erasing=0.25),
]
train_dataloader = dict(batch_size=total_batch_size, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.25e-4, weight_decay=0.1))
max_iters, warmup = 300 * images // total_batch_size, 5 * images // total_batch_size
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6 / 0.25e-4, begin=0, end=warmup, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=max_iters - warmup, eta_min=1e-7, begin=warmup, end=max_iters, by_epoch=False),
]
train_cfg = dict(max_iters=max_iters, val_interval=10 * images // total_batch_size)
default_hooks = dict(checkpoint=dict(interval=images // total_batch_size))
