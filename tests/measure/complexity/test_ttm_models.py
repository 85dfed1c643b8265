"""What the Token Turing Machine is compared with: each computes what it says, and is counted by hand."""
import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from mmseg_vittm.measure.complexity.counting import multiply_adds
from mmseg_vittm.measure.complexity.ttm_models import CausalStep, LSTMStep, MachineStep, WindowStep, on_meta
from mmseg_vittm.ttm import TokenTuringMachine

DIMS, HEADS, LAYERS, MLP = 24, 3, 2, 40


def count(build, tokens: int, dims: int = DIMS) -> int:
    return multiply_adds(on_meta(build), (1, tokens, dims))[0]


@pytest.mark.parametrize('tokens,memory,process', [(16, 12, 5), (7, 3, 2)])
def test_a_machines_step_by_hand(tokens, memory, process):
    """Scores of every token, the weighted sums, and the layers: 128 is the hidden width of a mixer's token MLP."""
    def pooled(count, out):
        return count * (DIMS * 64 + 64 * out + out * DIMS)
    around = pooled(memory + tokens, process) + pooled(memory + tokens + process, memory)
    channel_mlps = LAYERS * process * 2 * DIMS * MLP
    mixing, attending = (LAYERS * DIMS * 2 * process * 128,
                         LAYERS * (4 * process * DIMS**2 + 2 * process**2 * DIMS))
    for unit, products in (('mixer', mixing), ('transformer', attending)):
        def build(unit=unit):
            return MachineStep(TokenTuringMachine(DIMS, memory, process, 'summary', unit, LAYERS, MLP, HEADS))
        assert count(build, tokens) == around + channel_mlps + products


def test_the_lstm_by_hand():
    assert count(lambda: LSTMStep(DIMS, 5, 0), 5) == 5 * 8 * DIMS**2
    assert count(lambda: LSTMStep(DIMS, 5, MLP), 5) == 5 * (10 * DIMS**2 + 2 * DIMS * MLP)


@torch.no_grad()
def test_the_lstm_is_pytorchs():
    """Its gates are in the order take, forget, new, show; ours take, forget, show, new."""
    torch.manual_seed(0)
    ours, theirs = LSTMStep(DIMS, 5, 0), nn.LSTMCell(DIMS, DIMS)
    take, forget, new, show = (torch.cat([theirs.weight_ih, theirs.weight_hh], dim=1)).chunk(4)
    ours.gates.weight.copy_(torch.cat([take, forget, show, new]))
    take, forget, new, show = (theirs.bias_ih + theirs.bias_hh).chunk(4)
    ours.gates.bias.copy_(torch.cat([take, forget, show, new]))
    ours.hidden.normal_()
    ours.cell.normal_()
    tokens = torch.randn(1, 5, DIMS)
    hidden, cell = theirs(tokens[0], (ours.hidden[0], ours.cell[0]))
    outputs, *state = ours(tokens)
    assert torch.allclose(outputs[0], hidden, atol=1e-6) and torch.equal(outputs, state[0])
    assert torch.allclose(state[1][0], cell, atol=1e-6)


@pytest.mark.parametrize('new,past', [(4, 20), (3, 0), (5, 6)])
@pytest.mark.parametrize('mlp', [0, MLP])
def test_causal_attention_by_hand(new, past, mlp):
    around = LAYERS * (2 * new * DIMS**2 + 2 * new * (past + new) * DIMS + 2 * new * DIMS * mlp)
    for cached in (True, False):
        projected = LAYERS * 2 * (new if cached else past + new) * DIMS**2
        counted = count(lambda cached=cached: CausalStep(DIMS, LAYERS, HEADS, mlp, past, cached), new)
        assert counted == around + projected


@torch.no_grad()
def test_causal_attention_is_masked_attention_over_the_whole_video():
    """Frame by frame, with what was kept, as all frames at once, where each sees itself and those before."""
    torch.manual_seed(0)
    frames, each = 4, 3
    anew = CausalStep(DIMS, LAYERS, HEADS, MLP, 0, cached=False).double()
    kept = CausalStep(DIMS, LAYERS, HEADS, MLP, 0, cached=True).double()
    kept.layers.load_state_dict(anew.layers.state_dict())
    kept.norm.load_state_dict(anew.norm.state_dict())
    video = torch.randn(1, frames * each, DIMS).double()
    number = torch.arange(frames * each) // each
    whole, inputs = video, []
    for layer in anew.layers:
        inputs.append(whole)
        q, kv = (part(layer.norm(whole)) for part in (layer.attention.q, layer.attention.kv))
        q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in (q, *kv.chunk(2, dim=2)))
        seen = scaled_dot_product_attention(q, k, v, attn_mask=number[:, None] >= number)
        whole = whole + layer.attention.proj(seen.transpose(1, 2).flatten(2))
        whole = whole + layer.mlp(whole)
    for frame in range(frames):
        before, now = slice(0, frame * each), slice(frame * each, (frame + 1) * each)
        anew.past = torch.stack([states[:, before] for states in inputs])
        kept.past = torch.stack([layer.attention.kv(layer.norm(states[:, before]))
                                 for layer, states in zip(kept.layers, inputs, strict=True)])
        for model in (anew, kept):
            assert torch.allclose(model(video[:, now]), anew.norm(whole)[:, now], atol=1e-10)


@pytest.mark.parametrize('new,kept', [(4, 20), (3, 3)])
def test_windows_by_hand(new, kept):
    every = new + kept
    assert count(lambda: WindowStep(DIMS, LAYERS, HEADS, MLP, new, kept), new) == LAYERS * (
        4 * every * DIMS**2 + 2 * every**2 * DIMS + 2 * every * DIMS * MLP)


def test_on_meta_takes_no_memory():
    model = on_meta(lambda: CausalStep(768, 1, 12, 0, 10**9, cached=True))
    assert model.past.shape == (1, 1, 10**9, 1536) and model.past.device.type == 'meta'
