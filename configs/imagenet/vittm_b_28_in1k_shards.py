# vittm_b_28_in1k.py on WebDataset shards, of some 1000 images each, the classes' names in classes.txt beside them.
_base_ = './vittm_b_28_in1k.py'
train_dataloader = dict(
    sampler=dict(shuffle_shards=16),  # samples are mixed among so many shards at a time
    dataset=dict(
        _delete_=True,
        type='ImageShards',
        data_root=_base_.data_root,
        shards='train-{000000..001281}.tar',
        classes='classes.txt',
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageShards',
        data_root=_base_.data_root,
        shards='val-{000000..000049}.tar',
        classes='classes.txt',
        test_mode=True,
        pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
