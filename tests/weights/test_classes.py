"""Classes of a checkpoint that are not as many as the model's: an error that names both numbers."""
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.apis import init_model
from mmseg.registry import MODELS
from torch import nn

from mmseg_vittm.engine.runner import StrictRunner
from mmseg_vittm.errors import CheckpointError, InputError
from mmseg_vittm.inference.predictor import Predictor
from mmseg_vittm.weights.dataset_meta import check_classes, num_classes
from mmseg_vittm.weights.whole_model import load_model


def meta(count: int, colours: int | None = None) -> dict:
    colours = count if colours is None else colours
    return dict(classes=[f'class {n}' for n in range(count)], palette=[[n % 256] * 3 for n in range(colours)])


@pytest.fixture(scope='module')
def state(config) -> dict:
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MODELS.build(Config.fromfile(config).model).state_dict()


@pytest.mark.parametrize('content', [meta(2), meta(15), meta(2, 0), dict(classes=['one']),
                                     dict(classes=None, palette=[[1, 2, 3]])], ids=str)
def test_both_numbers_are_named(content, config, state, tmp_path, log_lines):
    path = str(tmp_path / 'other.pth')
    torch.save(dict(state_dict=state, meta=dict(dataset_meta=content)), path)
    count = len(content.get('classes') or content['palette'])
    model = MODELS.build(dict(Config.fromfile(config).model, _scope_='mmseg'))
    runner = StrictRunner(model=model, work_dir=str(tmp_path), default_scope='mmseg', experiment_name=tmp_path.name)
    for way in (lambda: load_model(config, path), lambda: runner.load_checkpoint(path)):
        with pytest.raises(CheckpointError) as error:
            way()
        message = str(error.value)
        assert path in message and f'has {count} c' in message and 'num_classes=14' in message, message
    model = load_model(config, path, allow_partial=True)
    assert len(model.dataset_meta['classes']) == 14
    assert any(path in line and 'num_classes=14' in line for line in log_lines.of('WARNING'))
    runner.allow_partial = True
    runner.load_checkpoint(path)


def test_models_of_stock_are_checked_by_the_predictor(config, state, tmp_path):
    path = str(tmp_path / 'other.pth')
    torch.save(dict(state_dict=state, meta=dict(dataset_meta=meta(2))), path)
    model = init_model(config, path, device='cpu')
    with pytest.raises(InputError, match=r'has 14 classes \(num_classes .* names 2; '):
        Predictor(model)


def test_as_many_classes_or_none(config, state, tmp_path):
    for number, content in enumerate((meta(14), meta(14, 0), None, {}, dict(classes=None), dict(palette=[]))):
        path = str(tmp_path / f'{number}.pth')
        torch.save(dict(state_dict=state, meta=dict(dataset_meta=content)), path)
        assert len(load_model(config, path).dataset_meta['classes']) == 14


def model_of(*heads: dict) -> nn.Module:
    model = nn.Module()
    modules = [nn.Module() for _ in heads]
    for module, attributes in zip(modules, heads, strict=True):
        vars(module).update(attributes)
    model.decode_head = modules[0] if len(modules) == 1 else nn.ModuleList(modules)
    return model


@pytest.mark.parametrize('heads,counts', [
    ([dict(num_classes=19, out_channels=19)], {19}), ([dict(num_classes=2, out_channels=1)], {1, 2}),
    ([dict(num_classes=1, out_channels=1, threshold=0.3)], {1, 2}), ([dict(num_classes=150)], {150}),
    ([dict(num_classes=3), dict(num_classes=5)], {5}), ([{}], set()), ([dict(num_classes=None)], set()),
    ([dict(num_classes='many')], set()), ([dict(num_classes=0)], set()),
    ([dict(num_classes=1, out_channels=1)], set())], ids=str)
def test_the_number_of_classes_of_a_model(heads, counts):
    """Of cascades the last counts; one output channel tells one class from the rest; unknown ones take all."""
    model = model_of(*heads)
    assert num_classes(model) == counts
    if not counts:
        check_classes(meta(7), model, 'x.pth')
    for count in counts:
        check_classes(meta(count), model, 'x.pth')
    assert num_classes(nn.Linear(2, 2)) == set()
