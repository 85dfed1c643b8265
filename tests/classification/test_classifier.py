"""ImageClassifier: heads, losses, predictions, and weights to begin from."""
import pytest
import torch
import torch.nn.functional as F
from class_images import TINY_VIT, TINY_VITTM, draw
from timm.data import create_transform

from mmseg_vittm.classification import ImageClassifier, TimmTransform, TopAccuracy
from mmseg_vittm.errors import CheckpointError, InputError

HEADS = tuple(f'network.{name}.' for name in ('head', 'process_head', 'memory_head'))


def tiny(classes: int = 7, kind: dict = TINY_VITTM, **more) -> ImageClassifier:
    torch.manual_seed(0)
    return ImageClassifier(num_classes=classes, img_size=32, **kind, **more)


def batch(count: int = 4) -> dict:
    generator = torch.Generator().manual_seed(1)
    return dict(inputs=torch.randn(count, 3, 32, 32, generator=generator), labels=torch.arange(count) % 7)


def test_losses_of_both_heads_are_summed():
    model, data = tiny().train(), batch()
    losses = model(**data, mode='loss')
    process, memory = model.network.forward_heads(data['inputs'])
    assert torch.equal(losses['loss_process'], F.cross_entropy(process, data['labels']))
    assert torch.equal(losses['loss_memory'], F.cross_entropy(memory, data['labels']))
    total, _ = model.parse_losses(losses)
    assert torch.allclose(total, losses['loss_process'] + losses['loss_memory'])
    total.backward()
    assert all(weight.grad is not None for weight in model.parameters())
    assert list(tiny(kind=TINY_VIT)(**data, mode='loss')) == ['loss']


def test_binary_cross_entropy_of_mixed_images():
    model, data = tiny(loss='binary_cross_entropy', mixup=0.8, cutmix=0.8, label_smoothing=0.1).train(), batch()
    seen = {}
    model.mix, mix = lambda *pair: seen.setdefault('mixed', mix(*pair)), model.mix
    losses = model(inputs=data['inputs'].clone(), labels=data['labels'], mode='loss')
    images, targets = seen['mixed']
    assert targets.shape == (4, 7) and not torch.equal(images, data['inputs'])
    assert torch.allclose(targets.sum(1), torch.ones(4))
    _, memory = model.network.forward_heads(images)
    assert torch.allclose(losses['loss_memory'], F.binary_cross_entropy_with_logits(memory, targets))


def test_an_odd_batch_cannot_be_mixed_in_pairs():
    with pytest.raises(InputError, match='mix images in pairs, but a process has 3 in a batch'):
        tiny(mixup=0.8).train()(**batch(3), mode='loss')


def test_images_of_another_size_than_a_plain_vits():
    images = torch.zeros(2, 3, 48, 40)
    with pytest.raises(InputError, match='images of 48 x 40 pixels for a model of 32 x 32; set model.img_size'):
        tiny(kind=TINY_VIT)(images)
    assert tiny()(images)[0].shape == (2, 7)  # ViTTM takes any


def test_predictions_and_scores():
    model, data = tiny().eval(), batch(6)
    with torch.no_grad():
        process, memory = model(inputs=data['inputs'])
        predictions = model(**data, mode='predict')
    accuracy = TopAccuracy()
    accuracy.process(data, predictions)
    scores = accuracy.evaluate(6)
    for head, logits in (('process', process), ('memory', memory)):
        places = (logits.argsort(1, descending=True) == data['labels'][:, None]).int().argmax(1)
        for k in (1, 5):
            assert scores[f'{head}_top{k}'] == pytest.approx(100 * (places < k).float().mean().item(), abs=1e-3)
    accuracy.process(data, predictions)
    assert accuracy.evaluate(5) != {}  # what pads the last batch of several processes does not count


def test_two_classes_have_top_5_too():
    model = tiny(2).eval()
    data = batch(2) | dict(labels=torch.tensor([0, 1]))
    accuracy = TopAccuracy()
    accuracy.process(data, model(**data, mode='predict'))
    assert accuracy.evaluate(2)['memory_top5'] == 100


@pytest.mark.parametrize('arguments,said', [
    (dict(model_name='vittm_bse_patch28_224'), 'the nearest are vittm_base_patch28_224'),
    (dict(model_name='nothing like it'), 'timm has no'), (dict(num_classes=1), 'num_classes must be'),
    (dict(loss='mse'), 'loss must be one of'), (dict(mixup=-1), 'mixup must be 0 or more'),
    (dict(drop_path_rate=1.0), r'drop_path_rate must be in \[0, 1\)'), (dict(label_smoothing=1), 'label_smoothing'),
    (dict(model_args=dict(wings=2)), 'wings'), (dict(model_args=dict(num_classes=2)), 'model_args has num_classes'),
    (dict(init_cfg=dict(type='Pretrained')), 'init_cfg must be'), (dict(num_classes=True), 'num_classes must be'),
    (dict(model_args=dict(in_chans=4)), 'the model takes no images of 3 channels and 224 x 224 pixels'),
    (dict(model_args=dict(in_chans=0)), 'in_chans must be a whole number from 1, got 0'),
    (dict(model_args=dict(global_pool='')), r'returns \(2, 64, 1000\) for 2 images, no scores of 1000 classes'),
    (dict(model_name='vit_tiny_patch16_224', model_args=dict(features_only=True)), 'returns list for 2 images'),
    (dict(model_args=dict(pretrained=True)), 'model_args has pretrained: set init_cfg'),
    (dict(model_args=dict(checkpoint_path='/nowhere')), 'model_args has checkpoint_path: set init_cfg'),
    (dict(model_name='resnet18', img_size=32), 'left out by img_size=None and drop_path_rate=0')])
def test_wrong_arguments(arguments, said):
    with pytest.raises(ValueError, match=said):
        ImageClassifier(**arguments)


@pytest.mark.parametrize('kind', [TINY_VIT, TINY_VITTM], ids=['vit', 'vittm'])
def test_weights_to_begin_from(kind, tmp_path, log_lines):
    """All but the head must fit; it is taken where it has as many classes."""
    source = tiny(7, kind)
    path = tmp_path / 'source.pth'
    for weight in source.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    torch.save(dict(state_dict=source.state_dict(), meta={}), path)
    init_cfg = dict(type='Pretrained', checkpoint=str(path))
    same, other = tiny(7, kind, init_cfg=init_cfg), tiny(3, kind, init_cfg=init_cfg)
    heads = {name: weight.clone() for name, weight in other.state_dict().items() if name.startswith(HEADS)}
    same.init_weights()
    other.init_weights()
    for name, weight in source.state_dict().items():
        assert torch.equal(same.state_dict()[name], weight)
        assert torch.equal(other.state_dict()[name], heads.get(name, weight))
    said = log_lines.of('INFO')[-1]
    own = len(source.state_dict()) - len(heads)
    assert f'loaded {own} tensors' in said and 'a head of 7 classes, where this model begins one of 3 anew' in said
    wrong = dict(kind, model_args=kind['model_args'] | dict(depth=3))
    with pytest.raises(CheckpointError, match='missing'):
        tiny(7, wrong, init_cfg=init_cfg).init_weights()


def test_weights_of_another_image_size_and_of_timm(tmp_path):
    source = ImageClassifier(num_classes=7, img_size=48, **TINY_VITTM)
    torch.save(source.network.state_dict(), tmp_path / 'timm.pth')
    torch.save(source.state_dict(), tmp_path / 'ours.pth')
    for name in ('timm.pth', 'ours.pth'):
        model = tiny(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / name)))
        model.init_weights()
        assert torch.equal(model.network.memory_head.weight, source.network.memory_head.weight)
        assert model.network.encoder.memory_stream.pos_embed.weight.shape[1:3] == (4, 4)


def test_other_models_of_timm_and_their_weights(tmp_path):
    """Those that take neither img_size nor drop_path_rate; and weights that have no patches."""
    resnet = dict(model_name='resnet18', model_args=dict(layers=(1, 1, 1, 1), channels=(4, 4, 4, 4)))
    for kind in (dict(model_name='dla46_c'), resnet):
        source = ImageClassifier(num_classes=7, **kind)
        torch.save(source.network.state_dict(), tmp_path / 'timm.pth')
        init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'timm.pth'))
        for classes in (7, 3):
            model = ImageClassifier(num_classes=classes, init_cfg=init_cfg, **kind)
            model.init_weights()
            assert all(torch.equal(weight, source.state_dict()[name]) for name, weight in model.state_dict().items()
                       if classes == 7 or not name.startswith('network.fc.'))
    torch.save(dict(weight=torch.ones(2)), tmp_path / 'timm.pth')
    with pytest.raises(CheckpointError, match="neither a classifier's checkpoint, .* nor timm's state dict; it begins"):
        model.init_weights()


@pytest.mark.parametrize('name,broken', [('bias', torch.tensor(1.0)), ('bias', torch.ones(5)), ('weight', None)])
def test_a_head_is_taken_or_left_whole(name, broken, tmp_path):
    state = tiny(3).network.state_dict()
    state[f'memory_head.{name}'] = broken
    torch.save({name: one for name, one in state.items() if one is not None}, tmp_path / 'source.pth')
    with pytest.raises(CheckpointError, match=f'memory_head.{name}'):
        tiny(init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'source.pth'))).init_weights()


def test_transforms_are_timms():
    image = draw(0, 0)
    ours = TimmTransform(image_size=32).transform(dict(image=image, label=3, img_path='x'))
    theirs = create_transform(32, interpolation='bicubic', crop_pct=0.9, mean=(0.5, ) * 3, std=(0.5, ) * 3)(image)
    assert torch.equal(ours['inputs'], theirs) and (ours['labels'], ours['img_path']) == (3, 'x')
    training = TimmTransform(image_size=32, training=True, auto_augment='rand-m20-n2', erasing=1.0)
    assert [type(step).__name__ for step in training.augment.transforms] == [
        'RandomResizedCropAndInterpolation', 'RandomHorizontalFlip', 'RandAugment', 'MaybeToTensor', 'Normalize',
        'RandomErasing']
    for right in ('rand-m20-n2-mmax20', 'rand-m9-mstd0.5-inc1', 'rand-tweights-p0.5', 'augmix-m5-w4-d2', 'v0', '3a',
                  'original-mstd0.5'):
        TimmTransform(training=True, auto_augment=right)


@pytest.mark.parametrize('name,wrong', [
    ('auto_augment', 'foo'), ('auto_augment', 'rand-m20-n2-zz'), ('auto_augment', 'rand-mx'),
    ('auto_augment', 'rand-tfoo'), ('interpolation', 'foo'), ('hflip', 2), ('crop_pct', 0), ('color_jitter', -1),
    ('scale', [2, 3]), ('scale', [0.5, 0.1]), ('scale', 0.5), ('ratio', [0, 0]), ('mean', [0.5]),
    ('mean', [0.5, 0.5, 2]), ('std', [0, 0, 0]), ('std', ['a', 1, 1])])
def test_transforms_refuse_nonsense(name, wrong):
    with pytest.raises(ValueError, match=f'{name} (must be|has)|timm.data.create_transform refuses|foo'):
        TimmTransform(training=True, **{name: wrong})
