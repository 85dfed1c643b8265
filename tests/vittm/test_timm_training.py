"""timm trains the classifiers: a loop of timm's own parts, as its train.py has it, on generated images."""
import pytest
import timm
import torch
from PIL import Image
from timm.data import Mixup, create_dataset, create_loader, resolve_data_config
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy
from timm.models import resume_checkpoint
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.task import ClassificationTask
from timm.utils import CheckpointSaver, ModelEmaV3, accuracy

EPOCHS = 6
SMALL = dict(embed_dim=48, depth=2, num_heads=4, img_size=56, process_patch_size=28, memory_patch_size=14)


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """Folders of noise on a dark and on a bright ground: `train` and `validation`, two classes."""
    folder = tmp_path_factory.mktemp('pictures')
    for split, number in (('train', 16), ('validation', 8)):
        for ground in ('dark', 'bright'):
            (folder / split / ground).mkdir(parents=True)
            for i in range(number):
                noise = Image.effect_noise((72, 64), 30).convert('RGB')
                shifted = noise.point(lambda value, shift=60 if ground == 'bright' else -60: value + shift)
                shifted.save(folder / split / ground / f'{i}.png')
    return folder


def build(**changes) -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model('vittm_tiny_patch28_224', **dict(SMALL, num_classes=2, drop_path_rate=0.1) | changes)


def loaders(folder, model, train: bool):
    data = resolve_data_config(dict(input_size=(3, 56, 56)), model=model)
    dataset = create_dataset('', str(folder), split='train' if train else 'validation', is_training=train)
    return create_loader(
        dataset, data['input_size'], 8, is_training=train, use_prefetcher=False, num_workers=0, mean=data['mean'],
        std=data['std'], interpolation=data['interpolation'], crop_pct=data['crop_pct'], persistent_workers=False,
        **dict(scale=(0.6, 1.0), color_jitter=0.1, re_prob=0.25) if train else {})


def evaluate(model, folder) -> float:
    """Top-1 accuracy in percent, as timm's `validate` computes it."""
    model.eval()
    with torch.no_grad():
        parts = [accuracy(model(x), target)[0].item() for x, target in loaders(folder, model, train=False)]
    model.train()
    return sum(parts) / len(parts)


@pytest.mark.parametrize('head,mixes', [('memory', False), ('process', True), ('mean', True)])
def test_the_loop_of_timms_script(head, mixes, pictures, tmp_path):
    timm.utils.random_seed(0)
    model = build(head=head)
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    optimizer = create_optimizer_v2(model, 'adamw', lr=3e-3, weight_decay=0.03, layer_decay=0.9)
    loader = loaders(pictures, model, train=True)
    scheduler, epochs = create_scheduler_v2(optimizer, 'cosine', EPOCHS, warmup_epochs=1, warmup_lr=1e-4,
                                            step_on_epochs=False, updates_per_epoch=len(loader))
    mixup = Mixup(0.2, 1.0, label_smoothing=0.1, num_classes=2) if mixes else None
    criterion = BinaryCrossEntropy(0.0) if mixes else LabelSmoothingCrossEntropy(0.1)
    average = ModelEmaV3(model, decay=0.8)
    saver = CheckpointSaver(model, optimizer, model_ema=average, checkpoint_dir=str(tmp_path))
    losses, updates = [], 0
    for epoch in range(epochs):
        model.train()
        for x, target in loader:
            if mixup is not None:
                x, target = mixup(x, target)
            with torch.autocast('cpu', torch.bfloat16, enabled=mixes):
                loss = criterion(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            timm.utils.dispatch_clip_grad(timm.models.model_parameters(model), 1.0)
            optimizer.step()
            updates += 1
            average.update(model, step=updates)
            scheduler.step_update(updates, metric=loss.item())
            losses.append(loss.item())
        saver.save_checkpoint(epoch, evaluate(average.module, pictures))
    assert sum(losses[-4:]) < (0.95 if mixes else 0.75) * sum(losses[:4])  # targets of mixed images have a floor
    assert evaluate(model, pictures) >= 90 and evaluate(average.module, pictures) >= 90
    assert not [name for name, weight in model.named_parameters() if torch.equal(weight, start[name])]
    again = build(head=head)
    assert resume_checkpoint(again, str(tmp_path / 'last.pth.tar'), create_optimizer_v2(
        again, 'adamw', lr=3e-3, weight_decay=0.03, layer_decay=0.9)) == epochs
    assert all(torch.equal(weight, again.state_dict()[name]) for name, weight in model.state_dict().items())


def test_timms_training_task(pictures):
    model = build()
    task = ClassificationTask(model, torch.nn.CrossEntropyLoss(), verbose=False)
    task.setup_ema(0.9)
    x, target = next(iter(loaders(pictures, model, train=True)))
    torch.manual_seed(0)
    result = task(x, target)
    result['loss'].backward()
    torch.manual_seed(0)
    expected = sum(torch.nn.functional.cross_entropy(logits, target) for logits in model.forward_heads(x))
    torch.testing.assert_close(result['loss'], expected)
    assert all(weight.grad is not None for weight in model.parameters())
    task.update_ema(1)
    evaluator = task.create_evaluator()
    for x, target in loaders(pictures, model, train=False):
        evaluator.update(task.get_eval_model(ema=True).eval()(x), target)
    assert 0 <= evaluator.compute()['top1'] <= 100


def test_accuracy_in_training_is_the_memory_heads():
    model, x, target = build().train(), torch.randn(8, 3, 56, 56), torch.arange(8) % 2
    torch.manual_seed(0)
    out = model(x)
    right = (out.memory.argmax(1) == target).float().mean() * 100
    assert accuracy(out, target)[0] == right


def test_no_parameter_is_unused_in_distributed_training():
    torch.distributed.init_process_group('gloo', store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        for head in ('memory', 'process', 'mean'):
            task = ClassificationTask(build(head=head), torch.nn.CrossEntropyLoss(), verbose=False).train()
            task.prepare_distributed()
            for _ in range(3):  # DDP refuses the second step where the first left out a parameter
                task(torch.randn(2, 3, 56, 56), torch.tensor([0, 1]))['loss'].backward()
    finally:
        torch.distributed.destroy_process_group()
