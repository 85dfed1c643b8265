"""optimize: the same labels in fewer operations, in half precision, compiled once per number of windows."""
import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from mmcv.cnn.bricks.transformer import MultiheadAttention
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from tiny_models import ROOT, images
from torch._dynamo.utils import counters

from mmseg_vittm import optimize
from mmseg_vittm.errors import InputError
from mmseg_vittm.inference.fast import FastNetwork, is_optimizable, optimize_if_possible
from mmseg_vittm.inference.fused_attention import fuse_self_attention
from mmseg_vittm.inference.precision import DTYPES, check_dtype, computing_in
from mmseg_vittm.vittm import HEADS

CPU = torch.device('cpu')
CROP = (56, 56)
EAGER = dict(backend='eager')  # traced, guarded and counted, not translated


def segmentor(read_write_head: str = 'linear', classes: int = 7, **changes):
    """A narrow ViTTM with Segmenter's head in a SlideSegmentor; the same weights at every call."""
    cfg = Config.fromfile(ROOT / 'configs' / 'segmenter_vittm_b_ade20k.py')
    cfg.model.backbone.update(arch=dict(embed_dims=48, num_layers=2, num_heads=3, mlp_ratio=4.0), img_size=CROP,
                              process_patch_size=28 if read_write_head == 'cell' else 14, memory_patch_size=14,
                              read_write_head=read_write_head)
    cfg.model.decode_head.update(in_channels=96, channels=48, embed_dims=48, num_heads=3, num_classes=classes)
    cfg.model.test_cfg = ConfigDict(mode='slide', crop_size=CROP, stride=(40, 40))
    cfg.model.update(changes)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model).eval()
    for name, weight in model.named_parameters():
        if weight.dim() == 1 or name.endswith('cls_emb'):
            torch.nn.init.normal_(weight, mean=float('norm' in name and name.endswith('weight')), std=0.3)
    return model


def samples(inputs: torch.Tensor) -> list[SegDataSample]:
    size = tuple(inputs.shape[2:])
    return [SegDataSample(metainfo=dict(ori_shape=size, img_shape=size)) for _ in inputs]


def labels(model, inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return torch.stack([one.pred_sem_seg.data[0] for one in model.predict(inputs, samples(inputs))])


def assert_same(model, plain, inputs: torch.Tensor, least: float = 0.9999) -> None:
    got, expected = labels(model, inputs), labels(plain, inputs)
    assert got.shape == expected.shape and (got == expected).float().mean() >= least
    assert len(expected.unique()) > 1


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize('read_write_head', (*HEADS, 'cell'))
def test_the_same_logits_and_labels(read_write_head):
    plain = segmentor(read_write_head)
    fast = optimize(copy.deepcopy(plain))
    for inputs in (images(batch=3), images(100, 130), images(batch=1)):
        with torch.no_grad():
            crop = inputs[..., :56, :56]
            torch.testing.assert_close(fast(crop, mode='tensor'), plain(crop, mode='tensor'), atol=1e-5, rtol=1e-5)
        assert_same(fast, plain, inputs)


def test_names_of_weights_stay_and_what_is_loaded_is_seen():
    plain, other = segmentor(), segmentor()
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    fast = optimize(copy.deepcopy(plain))
    assert list(fast.state_dict()) == list(plain.state_dict())
    torch.testing.assert_close(fast.state_dict(), plain.state_dict())
    fast.load_state_dict(other.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(fast(images(), mode='tensor'), other(images(), mode='tensor'), atol=1e-5, rtol=1e-5)


def test_a_backbone_whose_tokens_depend_on_the_image_is_not_compiled():
    cfg = Config.fromfile(ROOT / 'configs' / 'rivals' / 'segmenter_algm_t_toy.py')
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    with pytest.raises(InputError, match='ALGM keeps another number of tokens of each image.*leave out compile'):
        optimize(model, compile=True)
    assert optimize(model) is model  # and left alone until then


def test_copies_are_models_of_their_own():
    fast = optimize(segmentor(), compile=EAGER)
    before = labels(fast, images())
    copied = copy.deepcopy(fast)
    assert copied.network.segmentor is copied and fast.network.segmentor is fast
    with torch.no_grad():
        for weight in copied.parameters():
            weight.zero_()
    assert torch.equal(labels(fast, images()), before)
    copied.load_state_dict(fast.state_dict())
    assert torch.equal(labels(copied, images()), before)


@pytest.mark.parametrize('bias', [True, False])
def test_fused_self_attention(bias):
    torch.manual_seed(0)
    plain = MultiheadAttention(24, 3, batch_first=True, bias=bias).eval()
    for weight in plain.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    fused = copy.deepcopy(plain)
    fuse_self_attention(fused)
    assert (fused.forward.__func__ is MultiheadAttention.forward) == (not bias)
    tokens, other = images(5, 24, 2)[:, 0], images(7, 24, 2, seed=3)[:, 0]
    mask = torch.ones(5, 5).tril() == 0
    for arguments in (dict(), dict(identity=tokens * 2), dict(key=other), dict(query_pos=tokens), dict(attn_mask=mask),
                      dict(key=tokens, value=tokens * 3)):
        torch.testing.assert_close(fused(tokens, **arguments), plain(tokens, **arguments))


def test_compiles_once_per_number_of_windows():
    """Images of 30 sizes, batches, other modes of PyTorch: 1, 2 and 4 windows are compiled, then nothing ever again."""
    plain = segmentor()
    fast = optimize(copy.deepcopy(plain), compile=EAGER)
    for model in (plain, fast):
        model.test_cfg['window_batch'] = 4
    for inputs in (images(batch=1), images(56, 90, batch=1), images(90, 90, batch=1)):  # 1, 2 and 4 windows
        assert_same(fast, plain, inputs)
    graphs = counters['stats']['unique_graphs']
    assert set(fast.network._compiled) == {1, 2, 4} and graphs == 3
    sizes = [(56 + 13 * i, 56 + 29 * ((i * 7) % 6)) for i in range(14)]
    for height, width in [*sizes, *[(width, height) for height, width in sizes]]:
        assert_same(fast, plain, images(height, width, batch=1 + height % 2))
    with torch.inference_mode():
        fast.predict(images(70, 90), samples(images(70, 90)))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(labels(fast, images(70, 90)), labels(optimize(copy.deepcopy(plain)), images(70, 90)))
    fast.predict(images(70, 90), samples(images(70, 90)))  # with gradients
    assert counters['stats']['unique_graphs'] == graphs


def test_two_compiled_models_do_not_share_a_limit():
    with torch._dynamo.config.patch(recompile_limit=1):
        for classes in (3, 4):
            fast = optimize(segmentor(classes=classes), compile=EAGER)
            labels(fast, images())
            labels(fast, images(batch=1))
    assert counters['stats']['unique_graphs'] == 4


def test_windows_of_another_size_run_uncompiled():
    plain = segmentor()
    fast = optimize(copy.deepcopy(plain), compile=EAGER)
    for height, width in ((30, 90), (28, 31), (1, 1)):
        inputs = images(height, width)
        assert torch.equal(labels(fast, inputs), labels(plain, inputs))
    assert counters['stats']['unique_graphs'] == 0 and not fast.network._compiled


def test_threads_share_a_compiled_model():
    """Four threads, each with numbers of windows that come up for the first time: what one thread predicts."""
    plain = segmentor()
    fast = optimize(copy.deepcopy(plain), compile=EAGER)
    inputs = [images(batch=batch) for batch in (1, 2, 3, 5)] * 2
    expected = [labels(plain, one) for one in inputs]
    with ThreadPoolExecutor(4) as threads:
        got = list(threads.map(labels, [fast] * len(inputs), inputs))
    assert all((one == other).float().mean() >= 0.9999 for one, other in zip(got, expected, strict=True))


def test_no_more_graphs_than_a_handful(monkeypatch):
    monkeypatch.setattr('mmseg_vittm.inference.fast.MOST_COMPILED', 2)
    plain = segmentor()
    fast = optimize(copy.deepcopy(plain), compile=EAGER)
    for batch in (1, 2, 3, 4, 5):
        assert_same(fast, plain, images(batch=batch))
    assert set(fast.network._compiled) == {1, 2}


def test_whole_images_share_one_graph():
    plain = segmentor(test_cfg=ConfigDict(mode='whole'))
    fast = optimize(copy.deepcopy(plain), compile=EAGER | dict(mode=None))
    for height, width in ((70, 98), (84, 126), (98, 70), (57, 131)):
        assert_same(fast, plain, images(height, width), least=0.999)
    assert set(fast.network._compiled) == {None}
    graphs = counters['stats']['unique_graphs']
    for height, width in ((112, 84), (61, 99), (140, 98)):
        assert_same(fast, plain, images(height, width), least=0.999)
    assert counters['stats']['unique_graphs'] == graphs


@pytest.mark.slow
def test_compiles_with_inductor():
    plain = segmentor()
    fast = optimize(copy.deepcopy(plain), compile=True)
    assert_same(fast, plain, images(batch=3), least=0.999)
    assert set(fast.network._compiled) == {4}


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('compile', [False, True])
def test_on_a_gpu(compile):
    """CUDA graphs write every result into the same memory: several groups of windows still keep their own."""
    plain = segmentor()
    expected = {size: labels(plain, images(*size)) for size in ((56, 56), (140, 180), (30, 200))}
    for dtype, least in (('fp32', 0.999), ('tf32', 0.95), ('bf16', 0.9)):  # an untrained model: many near ties
        fast = optimize(copy.deepcopy(plain).cuda(), dtype, compile)
        fast.test_cfg['window_batch'] = 4
        for size in [*expected] * 2:
            inputs = images(*size).cuda()
            assert (labels(fast, inputs).cpu() == expected[size]).float().mean() >= least


def test_a_compiler_that_fails_is_told():
    def broken(*args):
        raise OSError('no g++ here')

    fast = optimize(segmentor(), compile=dict(backend=broken))
    with pytest.raises(InputError, match='(?s)cannot compile.*leave out compile.*g\\+\\+'):
        labels(fast, images())


@pytest.mark.parametrize('dtype,kind', [('bf16', torch.bfloat16), ('fp16', torch.float16)])
def test_half_precision_is_autocasts(dtype, kind):
    """Weights of matmuls are stored in half precision, and nothing else changes from autocast."""
    plain = segmentor()
    fast = optimize(copy.deepcopy(plain), dtype)
    kinds = {name: weight.dtype for name, weight in fast.named_parameters()}
    assert kinds['backbone.encoder.blocks.0.encoder.attn.qkv.weight'] == kind
    assert kinds['backbone.encoder.blocks.0.read_head.k.weight'] == kind
    assert kinds['backbone.encoder.blocks.0.read_norm.weight'] == torch.float32
    assert kinds['backbone.encoder.memory_stream.pos_embed.weight'] == torch.float32
    inputs = images(batch=8)
    with torch.no_grad():
        exact, got = plain(inputs, mode='tensor'), fast(inputs, mode='tensor').float()
        with torch.autocast('cpu', kind):
            autocasts = plain(inputs, mode='tensor').float()
    error = (autocasts - exact).square().mean().sqrt()
    assert 0 < (got - exact).square().mean().sqrt() < 1.3 * error


def test_precision_is_scoped():
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [flag.allow_tf32 for flag in flags]
    for dtype, kind in DTYPES.items():
        with torch.autocast('cpu', torch.bfloat16), computing_in(dtype, CPU):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == kind
            assert [flag.allow_tf32 for flag in flags] == before  # a CPU has no TF32, and threads share the flags
        if kind is torch.float32:
            with computing_in(dtype, torch.device('cuda')):
                assert [flag.allow_tf32 for flag in flags] == [dtype == 'tf32'] * 2
            assert [flag.allow_tf32 for flag in flags] == before
    with pytest.raises(KeyError), computing_in('tf32', torch.device('cuda')):
        raise KeyError
    assert [flag.allow_tf32 for flag in flags] == before


def test_wrong_uses():
    with pytest.raises(InputError, match="must be one of .*'tf32'.*, got 'int8'"):
        check_dtype('int8', CPU)
    with pytest.raises(InputError, match='tf32.*Ampere.*cpu'):
        optimize(segmentor(), 'tf32')
    stock = segmentor(type='EncoderDecoder')
    with pytest.raises(InputError, match='got EncoderDecoder with SegmenterMaskTransformerHead; set model.type='):
        optimize(stock)
    assert not is_optimizable(stock) and optimize_if_possible(stock) is stock
    with pytest.raises(InputError, match='EncoderDecoder'):
        optimize_if_possible(stock, 'bf16')
    fast = optimize_if_possible(segmentor())
    assert isinstance(fast.network, FastNetwork)
    with pytest.raises(InputError, match='already; load it again'):
        optimize(fast)
