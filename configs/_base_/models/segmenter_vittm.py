# Segmenter's mask transformer on ViTTM. A config that inherits this sets every size from its `crop_size`:
# backbone.img_size, data_preprocessor.size and test_cfg. The backbone's `arch` is 'base' unless it says otherwise.
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255)
model = dict(
    type='SlideSegmentor',  # 'EncoderDecoder' is MMSegmentation's own: same results, slower, in more memory
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ViTTM',
        process_patch_size=28,
        memory_patch_size=28,
        out_tokens='concat'),
    decode_head=dict(
        type='SegmenterMaskTransformerHead',
        in_channels=1536,
        channels=768,
        num_classes=150,
        num_layers=2,
        num_heads=12,
        embed_dims=768,
        dropout_ratio=0.0,
        drop_path_rate=0.1,  # the head's own default, which the paper leaves alone
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='slide', stride=(480, 480)))
