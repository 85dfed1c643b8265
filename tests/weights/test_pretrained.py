"""Pretrained weights through init_cfg: every wrapping, resampling, strictness, the log line."""
import json

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmseg.registry import MODELS
from timm.layers import resample_abs_pos_embed_nhwc
from tiny_models import DATA, WRAPPINGS, images, read_golden, save_weights
from torch.serialization import get_safe_globals, safe_globals

from mmseg_vittm import ViTTM
from mmseg_vittm.errors import CheckpointError
from mmseg_vittm.weights.files import read_weights_file
from mmseg_vittm.weights.state_dicts import read_state_dict

GOLDEN = read_golden(DATA / 'linear_add_resampled_rect.safetensors')
ADD_ERASE = read_golden(DATA / 'latent_attention_add_erase.safetensors')


def build(path=None, golden=GOLDEN, **changes) -> ViTTM:
    torch.manual_seed(0)
    init_cfg = None if path is None else dict(type='Pretrained', checkpoint=str(path))
    return MODELS.build(dict(type='ViTTM', init_cfg=init_cfg) | golden.arguments | changes).eval()


def load(path, **changes) -> ViTTM:
    backbone = build(path, **changes)
    backbone.init_weights()
    return backbone


def refused(path, message: str | None = None, **changes) -> str:
    """The error of a file that is refused, after a look that the model kept its weights and that it names the file."""
    backbone = build(path, **changes)
    before = {name: weight.clone() for name, weight in backbone.state_dict().items()}
    with pytest.raises(CheckpointError, match=message) as error:
        backbone.init_weights()
    assert all(torch.equal(weight, before[name]) for name, weight in backbone.state_dict().items())
    assert str(path) in str(error.value)
    return str(error.value)


@torch.no_grad()
def assert_golden(backbone: ViTTM) -> None:
    torch.testing.assert_close(backbone(GOLDEN.images)[-1], GOLDEN.expected['backbone_feature.2'], atol=1e-4, rtol=0)


@pytest.fixture
def authors(tmp_path):
    """Saves the authors' weights, changed by a function."""
    def save(change=dict, name: str = 'authors.pth', golden=GOLDEN):
        return save_weights(change(golden.state), tmp_path / name)
    return save


@pytest.mark.parametrize('wrapping,ending', [(name, '.pth') for name in WRAPPINGS] + [
    (name, '.safetensors') for name in WRAPPINGS if 'state_dict' not in name])
def test_every_wrapping_of_the_authors_files(wrapping, ending, authors, log_lines):
    backbone = load(authors(WRAPPINGS[wrapping], f'{wrapping}{ending}'))
    assert_golden(backbone)
    (line, ) = log_lines.of('INFO')
    tensors, parameters = len(backbone.state_dict()), sum(weight.numel() for weight in backbone.parameters())
    assert f'{tensors} tensors ({parameters / 1e6:.2f} M parameters)' in line and f'{wrapping}{ending}' in line
    assert '\n' not in line and "the authors' ViTTM checkpoint" in line
    for word, there in (('AveragedModel', 'averaged' in wrapping), ('torch.compile', 'compiled' in wrapping),
                        ('state_dict', 'state_dict' in wrapping)):
        assert (word in line.split('(')[2]) == there, line


@pytest.mark.parametrize('ending', ['.pth', '.safetensors'])
def test_own_backbone_weights(tmp_path, authors, ending):
    path = save_weights(load(authors()).state_dict(), tmp_path / f'own{ending}')
    assert_golden(load(path))


def test_whole_mmseg_checkpoint_as_the_runner_saves_it(tmp_path, authors, log_lines):
    backbone = load(authors())
    log_lines.clear()
    history = HistoryBuffer([3.0, 2.5], [1, 1])
    history.update(2.0)
    state = {**{f'backbone.{name}': weight for name, weight in backbone.state_dict().items()},
             'decode_head.conv_seg.weight': torch.zeros(5, 96, 1, 1), 'data_preprocessor.mean': torch.zeros(3)}
    path = save_weights({
        'meta': dict(cfg='model = dict()', iter=7, dataset_meta=dict(classes=('a', 'b'), palette=[[0, 0, 0]] * 2)),
        'state_dict': state, 'optimizer': dict(state={0: dict(momentum_buffer=None)}, param_groups=[dict(lr=0.1)]),
        'message_hub': dict(log_scalars={'train/loss': history}, runtime_info=dict(iter=7, scale=torch.ones(1)),
                            resumed_keys={'train/loss': True})}, tmp_path / 'iter_7.pth')
    assert_golden(load(path))
    assert_golden(load(path))  # a second read needs the same permissions again
    line = log_lines.of('INFO')[0]
    assert 'MMSegmentation checkpoint' in line and 'dropped 1 tensors (0.00 M, decode_head)' in line
    # Reading changes nothing of what the process allows, and what it allows changes nothing here.
    with safe_globals([HistoryBuffer, np.dtype, (getattr, 'builtins.getattr')]):
        before = set(get_safe_globals())
        loaded = read_weights_file(path)['message_hub']['log_scalars']['train/loss']
        assert set(get_safe_globals()) == before
    assert loaded.current() == 2.0 and type(loaded.data[0]) is np.ndarray


def test_unknown_part_of_a_whole_checkpoint_is_unexpected(tmp_path, authors):
    state = {f'backbone.{name}': weight for name, weight in load(authors()).state_dict().items()}
    path = save_weights({'state_dict': {**state, 'neck.weight': torch.zeros(2)}}, tmp_path / 'neck.pth')
    assert 'unexpected (1): neck.weight' in refused(path)


@pytest.mark.parametrize('img_size', [112, (28, 70), (56, 112), (14, 14)])
def test_positions_are_resampled_to_another_size(img_size, authors, log_lines):
    backbone = load(authors(), img_size=img_size)
    grid = backbone.encoder.memory_stream.pos_embed.grid
    assert grid == tuple(side // 14 for side in backbone.encoder.img_size)
    for name in ('process', 'memory'):
        stored = GOLDEN.state[f'{name}_pos_embed'].unflatten(1, (4, 4))
        actual = getattr(backbone.encoder, f'{name}_stream').pos_embed.weight
        torch.testing.assert_close(actual, resample_abs_pos_embed_nhwc(stored, list(grid)), atol=1e-5, rtol=1e-5)
    assert f'pos_embed.weight 4x4 -> {grid[0]}x{grid[1]}' in log_lines.of('INFO')[0]


def test_own_rectangular_positions_are_resampled_as_rectangles(tmp_path):
    path = save_weights(build(img_size=(28, 112)).state_dict(), tmp_path / 'own.pth')
    weight = torch.load(path)['encoder.memory_stream.pos_embed.weight']
    assert weight.shape[1:3] == (2, 8)  # 16 positions, as many as the model's 4 x 4
    actual = load(path).encoder.memory_stream.pos_embed.weight
    torch.testing.assert_close(actual, resample_abs_pos_embed_nhwc(weight, [4, 4]), atol=1e-5, rtol=1e-5)


def test_flat_positions_of_no_square_grid(authors):
    path = authors(lambda state: state | {'memory_pos_embed': torch.zeros(1, 15, 48)})
    assert 'memory_stream.pos_embed.weight holds 15 positions' in refused(path, img_size=112)


def without(*prefixes):
    return lambda state: {name: tensor for name, tensor in state.items() if not name.startswith(prefixes)}


@pytest.mark.parametrize('change,words', [
    (without('blocks.1.attn.qkv.bias'), 'missing (1): encoder.blocks.1.encoder.attn.qkv.bias'),
    (without('write_head.2.'), 'missing (6): encoder.blocks.2.write_head.q.weight'),
    (lambda state: state | {'surprise': torch.zeros(2)}, 'unexpected (1): surprise'),
    (lambda state: state | {'blocks.0.ls1.gamma': torch.ones(48)}, 'unexpected (1): encoder.blocks.0.encoder.ls1'),
    (lambda state: state | {'blocks.3.norm1.bias': torch.ones(48)}, 'unexpected (1): encoder.blocks.3.encoder.norm1'),
    (lambda state: state | {'read_head.1.q.weight': torch.zeros(24, 48)},
     'of another shape (1): encoder.blocks.1.read_head.q.weight (24, 48), here (12, 48)'),
    (lambda state: state | {'memory_pos_embed': torch.zeros(1, 16, 24)}, 'encoder.memory_stream.pos_embed.weight'),
    (without('process_pos_embed'), "no 'process_pos_embed'"),
])
def test_what_does_not_fit_is_listed_and_nothing_is_loaded(change, words, authors):
    assert words in refused(authors(change))


def test_everything_that_does_not_fit_is_in_one_error(authors):
    error = refused(authors(), arch=GOLDEN.arguments['arch'] | dict(num_layers=2), memory_mlp_ratio=0.5)
    assert 'missing (12): encoder.blocks.0.memory_mlp.norm.weight' in error
    assert 'unexpected (' in error and 'encoder.blocks.2.encoder.norm1.weight' in error


def test_a_deeper_checkpoint_loads_only_where_out_indices_leave_blocks_out(authors, log_lines):
    backbone = load(authors(), out_indices=(0, 1))
    with torch.no_grad():
        for i, tensor in enumerate(backbone(GOLDEN.images)):
            torch.testing.assert_close(tensor, GOLDEN.expected[f'backbone_feature.{i}'], atol=1e-4, rtol=0)
    assert 'for outputs that this model does not give' in log_lines.of('INFO')[0]
    assert 'encoder.blocks.2.' in refused(authors(), 'unexpected', arch=GOLDEN.arguments['arch'] | dict(num_layers=2))


@pytest.mark.parametrize('out_indices', [(0, ), (2, )])
@pytest.mark.parametrize('golden', [GOLDEN, ADD_ERASE], ids=['add', 'add_erase'])
def test_process_tokens_alone_from_a_full_checkpoint(authors, golden, out_indices, tmp_path):
    narrow = dict(golden=golden, out_tokens='process', out_indices=out_indices)
    process = load(authors(golden=golden), **narrow)
    whole = load(authors(golden=golden), golden=golden, out_indices=out_indices)
    with torch.no_grad():
        assert torch.equal(process(golden.images)[0], whole(golden.images)[0][:, :48])
    path = save_weights(process.state_dict(), tmp_path / 'process.pth')
    load(path, **narrow)
    error = refused(path, 'missing', golden=golden, out_indices=out_indices)
    assert f'encoder.blocks.{out_indices[0]}.write_head.q.weight' in error


@pytest.mark.parametrize('init_cfg', [dict(type='Pretrained'), dict(type='Pretrained', checkpoint='x', prefix='y.')])
def test_other_keys_in_init_cfg_are_refused(init_cfg):
    with pytest.raises(ValueError, match='init_cfg must be dict'):
        build(init_cfg=init_cfg).init_weights()


def test_a_list_of_pretrained_is_as_strict_as_the_dict(authors):
    """mmengine takes lists of initialisers too; its own loading would only print what does not fit."""
    path = authors(without('blocks.1.attn.qkv.bias'))
    with pytest.raises((CheckpointError, ValueError)):
        build(init_cfg=[dict(type='Pretrained', checkpoint=path)]).init_weights()


def test_backbone_of_a_segmentor_is_loaded_by_its_init_weights(authors, mmseg_scope):
    model = MODELS.build(dict(
        type='EncoderDecoder', backbone=dict(type='ViTTM', **GOLDEN.arguments,
                                             init_cfg=dict(type='Pretrained', checkpoint=authors())),
        decode_head=dict(type='FCNHead', in_channels=96, channels=96, num_convs=0, concat_input=False, num_classes=3,
                         norm_cfg=dict(type='BN')), test_cfg=dict(mode='whole'))).eval()
    model.init_weights()
    assert_golden(model.backbone)


@pytest.mark.parametrize('manifest,arguments', [
    ('vittm_b_64_64', dict()), ('vittm_s_64_64', dict(arch='small')),
    ('vittm_b_49_196', dict(process_patch_size=32, memory_patch_size=16))])
def test_released_files_fit(manifest, arguments, tmp_path, log_lines):
    """By their manifests: the authors' names and shapes, full size (on no memory: one zero, expanded)."""
    shapes = json.loads((DATA / 'manifests' / f'{manifest}.json').read_text())
    path = save_weights({name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}, tmp_path / 'w.pth')
    init_cfg = dict(type='Pretrained', checkpoint=path)
    with torch.device('meta'):
        backbone = MODELS.build(dict(type='ViTTM', **arguments, init_cfg=init_cfg))
    with pytest.warns(UserWarning, match='meta'):
        backbone.init_weights()
    line, = log_lines.of('INFO')
    assert f'{len(backbone.state_dict())} tensors' in line and 'resampled' not in line


def test_wrappers_inside_each_other(tmp_path):
    state = {'module.' + name: tensor for name, tensor in GOLDEN.state.items()}
    path = save_weights({'model': {'state_dict': {'n_averaged': torch.tensor(1), **state}}}, tmp_path / 'deep.pth')
    weights, wrappers = read_state_dict(path)
    assert weights.keys() == GOLDEN.state.keys() and 'AveragedModel' in wrappers


@torch.no_grad()
def test_half_precision_loads_as_float32(authors):
    backbone = load(authors(lambda state: {name: tensor.half() for name, tensor in state.items()}))
    assert {weight.dtype for weight in backbone.parameters()} == {torch.float32}
    assert backbone(images())[0].isfinite().all()
