# A folder of images for each class, below data_root: train/CLASS/*.JPEG and val/CLASS/*.JPEG.
train_dataloader = dict(
    sampler=dict(type='PassSampler', shuffle=True),
    dataset=dict(type='ImageFolders', data_prefix=dict(img_path='train')))
val_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='ImageFolders', data_prefix=dict(img_path='val'), test_mode=True))
test_dataloader = val_dataloader
