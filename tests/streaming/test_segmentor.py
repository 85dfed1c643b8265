"""StreamSegmentor: the per-frame model until it is trained, states that are kept, begun anew, batched, watched."""
import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from tiny_models import assert_no_dead_parameters
from tiny_streams import CLASSES, MEMORY, PAST, build, clip_samples, frames, samples, segmentor, stream_config

from mmseg_vittm import StreamState
from mmseg_vittm.errors import CheckpointError, InputError
from mmseg_vittm.streaming.cuts import other_scene, thumbnail

TEMPORAL = dict(machine=MEMORY, past=PAST, summary=dict(MEMORY, memory_mode='summary'),
                add_erase=dict(MEMORY, memory_mode='add_erase', process_unit='mixer'))


def run(model, video: torch.Tensor, state: StreamState | None = None) -> tuple[list[torch.Tensor], StreamState]:
    """The logits of each frame (T, B, 3, H, W), and the state after the last."""
    logits = []
    with torch.no_grad():
        for images in video:
            found, state = model.step(images, state)
            logits.append(found)
    return logits, state


def per_frame(**changes):
    """The per-frame model: MMSegmentation's own EncoderDecoder, of the same weights."""
    cfg = stream_config(**changes)
    for name in ('temporal', 'frozen'):
        cfg.pop(name)
    return build(ConfigDict(cfg, type='EncoderDecoder'))


@pytest.mark.parametrize('kind', TEMPORAL)
def test_untrained_equals_the_per_frame_model_bit_for_bit(kind):
    model, plain = segmentor(TEMPORAL[kind]), per_frame()
    model.load_state_dict(plain.state_dict(), strict=False)
    video = frames(streams=2)
    found, _ = run(model, video)
    for images, logits in zip(video, found, strict=True):
        with torch.no_grad():
            assert torch.equal(logits, plain(images))


@pytest.mark.parametrize('kind', TEMPORAL)
def test_a_trained_one_remembers(kind):
    model = segmentor(TEMPORAL[kind], trained=True)
    video = frames()
    found, _ = run(model, video)
    alone, _ = run(model, video[-1:])
    assert torch.equal(run(model, video[:1])[0][0], found[0])
    assert (found[-1] - alone[0]).abs().max() > 1e-3
    other, _ = run(model, torch.cat([frames(1, seed=3) * 0.5, video[1:]]))
    assert (found[1] - other[1]).abs().max() > 1e-5  # the frame before counts


def test_past_attention_forgets_what_is_older_than_its_frames():
    model = segmentor(PAST, trained=True, test_cfg=dict(mode='whole', cut_below=None))
    video, other = frames(6), frames(6, seed=9)
    found, _ = run(model, video)
    changed, _ = run(model, torch.cat([other[:1], video[1:]]))
    assert not torch.equal(found[2], changed[2])
    assert torch.equal(found[3], changed[3]) and torch.equal(found[5], changed[5])


def test_past_attention_of_one_frame_remembers_nothing():
    model = segmentor(dict(PAST, num_frames=1), trained=True)
    video = frames(3)
    assert torch.equal(run(model, video)[0][2], run(model, video[2:])[0][0])


@pytest.mark.parametrize('temporal', [MEMORY, PAST, None])
def test_the_state_does_not_grow(temporal):
    model = segmentor(temporal, test_cfg=dict(mode='whole', smoothing=0.5))
    video, state, sizes = frames(8), None, []
    for images in video:
        with torch.no_grad():
            _, state = model.step(images, state)
        sizes.append({name: tuple(one.shape) for name, one in state.tensors.items()})
    assert all(one == sizes[0] for one in sizes)
    assert int(state.tensors['frames']) == 8 and int(state.tensors['cuts']) == 0


@pytest.mark.parametrize('temporal', [MEMORY, PAST])
def test_streams_batched_equal_each_alone(temporal):
    model = segmentor(temporal, trained=True, test_cfg=dict(mode='whole', smoothing=0.3))
    video = frames(5, streams=3)
    together, state = run(model, video)
    for stream in range(3):
        alone, own = run(model, video[:, stream:stream + 1])
        for both, one in zip(together, alone, strict=True):
            torch.testing.assert_close(both[stream:stream + 1], one, rtol=0, atol=2e-5)
        for name, one in own.tensors.items():
            torch.testing.assert_close(state.tensors[name][stream:stream + 1], one, rtol=0, atol=2e-5)


def test_a_cut_begins_anew_and_is_counted():
    model = segmentor(MEMORY, trained=True)
    before, after = frames(3), frames(3, seed=8)
    assert other_scene(thumbnail(before[2]), thumbnail(after[0]), 0.3)
    found, state = run(model, torch.cat([before, after]))
    alone, _ = run(model, after)
    for both, one in zip(found[3:], alone, strict=True):
        assert torch.equal(both, one)
    assert int(state.tensors['cuts']) == 1 and int(state.tensors['frames']) == 3


def test_cuts_are_seen_per_stream_and_can_be_overlooked():
    video = frames(4, streams=2)
    video[2:, 1] = frames(2, seed=8)[:, 0]
    model = segmentor(MEMORY, trained=True)
    assert run(model, video)[1].tensors['cuts'].tolist() == [0, 1]
    assert run(model, video)[1].tensors['frames'].tolist() == [4, 2]
    blind = segmentor(MEMORY, trained=True, test_cfg=dict(mode='whole', cut_below=None))
    assert run(blind, video)[1].tensors['frames'].tolist() == [4, 4]


@pytest.mark.parametrize('gain,offset,noise', [(0.4, 0, 0), (1, 0.7, 0), (1, 0, 0.8)])
def test_light_and_noise_are_no_cut(gain, offset, noise):
    one, two = frames(2)
    two = gain * two + offset + noise * torch.randn(two.shape, generator=torch.Generator().manual_seed(0))
    assert not other_scene(thumbnail(one), thumbnail(two), 0.8)


@pytest.mark.parametrize('noise', [0, 0.1])
def test_frames_that_show_nothing_are_no_cut(noise):
    """What was remembered is there again after them; and a scene that comes after them is another one."""
    video, other = frames(5), frames(2, seed=8)
    nothing = 0.4 + noise * torch.randn(2, *video.shape[1:], generator=torch.Generator().manual_seed(0))
    model = segmentor(MEMORY, trained=True)
    state = run(model, torch.cat([video[:2], nothing, video[2:]]))[1]
    assert int(state.tensors['cuts']) == 0 and int(state.tensors['frames']) == 7
    state = run(model, torch.cat([video[:2], nothing, other]))[1]
    assert int(state.tensors['cuts']) == 1 and int(state.tensors['frames']) == 2
    assert int(run(model, torch.cat([nothing, other]))[1].tensors['cuts']) == 0  # nothing was seen before


def test_a_change_of_size_begins_anew():
    model = segmentor(MEMORY, trained=True)
    _, state = run(model, frames(3))
    other = frames(2, size=(56, 98))
    found, after = run(model, other, state)
    assert torch.equal(found[1], run(model, other)[0][1])
    assert after.size == (56, 98) and int(after.tensors['frames']) == 2


def test_smoothing_is_exponential():
    model = segmentor(test_cfg=dict(mode='whole', smoothing=0.75))
    plain, video = segmentor(), frames(4)
    raw, _ = run(plain, video)
    found, _ = run(model, video)
    expected = raw[0]
    for number, logits in enumerate(raw):
        expected = logits if number == 0 else 0.75 * expected + 0.25 * logits
        torch.testing.assert_close(found[number], expected)


def test_a_state_that_is_not_finite_begins_anew_and_is_named(log_lines):
    model, video = segmentor(MEMORY, trained=True), frames(4, streams=2)
    _, state = run(model, video[:2])
    state.tensors['memory'][1, 2, 3] = float('nan')
    found, after = run(model, video[2:], state)
    [said] = log_lines.of('WARNING')
    assert 'streams [1]' in said and 'not finite' in said
    alone, _ = run(model, video[2:, 1:])
    torch.testing.assert_close(found[0][1:], alone[0], rtol=0, atol=2e-5)
    whole, _ = run(model, video[:, :1])
    torch.testing.assert_close(found[1][:1], whole[3], rtol=0, atol=2e-5)
    assert all(one.isfinite().all() for one in after.tensors.values())
    assert after.tensors['frames'].tolist() == [4, 2]


def test_a_network_that_is_not_finite_is_an_error():
    model = segmentor(MEMORY)
    model.temporal.slots.data[0, 0] = float('inf')
    with pytest.raises(InputError, match=r'streams \[0\].*not finite.*dtype fp32'):
        run(model, frames(1))


def test_clips_give_the_losses_of_frames_one_by_one():
    model = segmentor(MEMORY, trained=True)
    video = frames(4, streams=2)  # (K, B, ...)
    inputs = video.transpose(0, 1).flatten(0, 1)
    data = clip_samples(inputs, 4)
    losses = model.loss(inputs, data)
    found, _ = run(segmentor(MEMORY, trained=True, test_cfg=dict(mode='whole', cut_below=None)), video)
    logits = torch.stack(found, dim=1).flatten(0, 1)
    logits = torch.nn.functional.interpolate(logits, inputs.shape[2:], mode='bilinear', align_corners=False)
    labels = torch.cat([sample.gt_sem_seg.data for sample in data])
    torch.testing.assert_close(losses['decode.loss_ce'], torch.nn.functional.cross_entropy(logits, labels))


def test_frames_without_labels_have_no_loss_but_are_remembered():
    model, video = segmentor(MEMORY, trained=True), frames(3)
    inputs, other = video.flatten(0, 1), torch.cat([frames(2, seed=9), video[2:]]).flatten(0, 1)
    data = clip_samples(inputs, 3, unlabelled=(0, 1))
    logits = run(segmentor(MEMORY, trained=True, test_cfg=dict(mode='whole', cut_below=None)), video)[0][2]
    logits = torch.nn.functional.interpolate(logits, inputs.shape[2:], mode='bilinear', align_corners=False)
    loss = model.loss(inputs, data)['decode.loss_ce']
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, data[2].gt_sem_seg.data))
    assert abs(loss - model.loss(other, data)['decode.loss_ce']) > 1e-4
    none = model.loss(inputs, clip_samples(inputs, 3, unlabelled=(0, 1, 2)))['decode.loss_ce']
    none.backward()
    assert none.item() == 0


@pytest.mark.parametrize('kind', TEMPORAL)
def test_no_dead_parameters(kind):
    model = segmentor(TEMPORAL[kind], trained=True).train()
    inputs = frames(3, streams=2).transpose(0, 1).flatten(0, 1)
    tokens = model._remember(model.encode(inputs), 3)
    # Biases that a softmax over keys, or over tokens, cancels.
    assert_no_dead_parameters(model.temporal, tokens, ('attention.kv.bias', 'key_value.bias', 'scores.fc2.bias',
                                                       'selection.fc2.bias', 'token_mlp.fc2.bias'))


def test_truncated_backpropagation_stops_at_the_frames_before():
    inputs = frames(4).flatten(0, 1)
    grads = []
    for backprop in (None, 2, 1):
        model = segmentor(MEMORY, trained=True, backprop_frames=backprop).train()
        images = inputs.clone().requires_grad_()
        tokens = model._remember(model.encode(images), 4)
        tokens[0][3].square().sum().backward()
        grads.append([bool(one.abs().max() > 0) for one in images.grad])
    assert grads == [[True] * 4, [False, False, True, True], [False, False, False, True]]


def test_frozen_parts_stay():
    model = segmentor(MEMORY, trained=True, frozen=True).train()
    inputs = frames(2).flatten(0, 1)
    model.loss(inputs, clip_samples(inputs, 2))['decode.loss_ce'].backward()
    assert all(weight.grad is None for part in model.frame_parts().values() for weight in part.parameters())
    assert not model.backbone.training and model.temporal.training
    assert any(weight.grad is not None for weight in model.temporal.parameters())


@torch.no_grad()
def test_predict_carries_videos_along():
    model = segmentor(MEMORY, trained=True)
    video = frames(4)
    expected, state = [], None
    for images in video:
        [sample], state = model.segment(images, samples(images), state)
        expected.append(sample.pred_sem_seg.data)
    for number, images in enumerate(video):
        [sample] = model.predict(images, samples(images, video='a', frame_index=number))
        assert torch.equal(sample.pred_sem_seg.data, expected[number])
    inputs = video.flatten(0, 1)  # all in one batch
    made = [samples(images, video='b', frame_index=number)[0] for number, images in enumerate(video)]
    for sample, labels in zip(model.predict(inputs, made), expected, strict=True):
        assert torch.equal(sample.pred_sem_seg.data, labels)


@torch.no_grad()
def test_frames_out_of_order_are_an_error():
    model = segmentor(MEMORY)
    images = frames(1)[0]
    model.predict(images, samples(images, video='a', frame_index=0))
    with pytest.raises(InputError, match='a: frame 2 .* where frame 1 should.*VideoSampler'):
        model.predict(images, samples(images, video='a', frame_index=2))
    with pytest.raises(InputError, match='b: frame 1 .* where frame 0 should'):
        model.predict(images, samples(images, video='b', frame_index=1))


@torch.no_grad()
def test_images_are_streams_of_one_frame():
    model = segmentor(MEMORY, trained=True)
    video = frames(2).flatten(0, 1)
    both = model.predict(video, samples(video))
    for row, sample in enumerate(both):
        alone = model.predict(video[row:row + 1], samples(video[row:row + 1]))[0]
        assert (sample.pred_sem_seg.data == alone.pred_sem_seg.data).float().mean() > 0.999


def test_any_backbone():
    cfg = stream_config(dict(MEMORY, in_channels=(16, ), into=(0, ), pool=(1, )))
    cfg.backbone = ConfigDict(type='MixVisionTransformer', in_channels=3, embed_dims=8, num_stages=2,
                              num_layers=[1, 1], num_heads=[1, 2], patch_sizes=[7, 3], strides=[4, 2],
                              sr_ratios=[4, 2], out_indices=(0, 1), mlp_ratio=2)
    cfg.decode_head = ConfigDict(type='SegformerHead', in_channels=[8, 16], in_index=[0, 1], channels=16,
                                 num_classes=CLASSES, dropout_ratio=0.0,
                                 loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False))
    model = build(cfg)
    plain = build(ConfigDict({**cfg, 'temporal': None}))
    plain.load_state_dict({name: one for name, one in model.state_dict().items() if 'temporal' not in name})
    video = frames(2)
    for one, two in zip(run(model, video)[0], run(plain, video)[0], strict=True):
        assert torch.equal(one, two)
    torch.nn.init.normal_(model.temporal.reads[0].out.weight, std=0.5)
    assert not torch.equal(run(model, video)[0][1], run(model, video[1:])[0][0])


def test_a_per_frame_checkpoint_is_a_start(tmp_path):
    plain = per_frame()
    torch.save(dict(state_dict=plain.state_dict(), meta={}), tmp_path / 'frame.pth')
    cfg = stream_config(MEMORY, frame_checkpoint=str(tmp_path / 'frame.pth'))
    model = build(cfg, seed=1)
    model.init_weights()
    images = frames(1)[0]
    with torch.no_grad():
        assert torch.equal(model(images), plain(images))
    state = plain.state_dict()
    state.pop('decode_head.conv_seg.bias')
    torch.save(dict(state_dict=state, meta={}), tmp_path / 'less.pth')
    model.frame_checkpoint = str(tmp_path / 'less.pth')
    with pytest.raises(CheckpointError, match=r'less\.pth.*decode_head\.conv_seg\.bias'):
        model.init_weights()


@pytest.mark.parametrize('changes,said', [
    (dict(frozen=True), 'nothing to train'), (dict(temporal=MEMORY, backprop_frames=0), 'backprop_frames'),
    (dict(temporal=dict(PAST, num_frames=0)), 'num_frames'),
    (dict(temporal=dict(MEMORY, embed_dims=40)), 'embed_dims must be a multiple of 16'),
    (dict(temporal=dict(MEMORY, pool=(1, ))), 'pool must have a number per stream')])
def test_wrong_arguments(changes, said):
    with pytest.raises((InputError, ValueError), match=said):
        build(stream_config(**changes))


@torch.no_grad()
def test_windows_are_refused():
    model = segmentor(MEMORY, test_cfg=dict(mode='slide', crop_size=(56, 56), stride=(40, 40)))
    images = frames(1)[0]
    with pytest.raises(InputError, match="test_cfg.mode is 'slide'.*'whole'"):
        model.predict(images, samples(images))


@torch.no_grad()
@pytest.mark.parametrize('smoothing', [-0.1, 1, 2.0])
def test_smoothing_that_is_none(smoothing):
    images = frames(1)[0]
    with pytest.raises(InputError, match='test_cfg.smoothing must be from 0 to below 1'):
        segmentor(test_cfg=dict(mode='whole', smoothing=smoothing)).predict(images, samples(images))


@pytest.mark.parametrize('temporal,smoothing', [(MEMORY, 0), (PAST, 0), (None, 0.5)])
def test_states_of_other_models_are_refused(temporal, smoothing):
    model = segmentor(temporal, test_cfg=dict(mode='whole', smoothing=smoothing))
    _, state = run(model, frames(1))
    model.check_state(state)
    for other in (dict(temporal=dict(MEMORY, num_memory_tokens=5)), dict(temporal=dict(PAST, num_frames=2)),
                  dict(temporal=None), dict(temporal=temporal, test_cfg=dict(mode='whole', smoothing=0.5 - smoothing))):
        with pytest.raises(InputError, match='state is of another model'):
            segmentor(**other).check_state(state)


def test_all_are_registered(mmseg_scope):
    for name in ('StreamSegmentor', 'MachineMemory', 'PastAttention'):
        assert MODELS.get(name).__name__ == name
