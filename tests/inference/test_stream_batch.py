"""StreamBatch, Predictor.stream and StreamState: frames as they come, states that are saved and go on."""
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny_streams import MEMORY, ready, segmentor

from mmseg_vittm import Predictor, StreamBatch, StreamState, optimize
from mmseg_vittm.errors import InputError

SIZE = (60, 76)


def pictures(count: int = 5, seed: int = 0, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 that change little from one to the next."""
    rng = np.random.default_rng(seed)
    scene = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize(size[::-1], Image.BICUBIC)
    return [np.clip(np.asarray(scene) + rng.normal(0, 12, (*size, 3)), 0, 255).astype(np.uint8) for _ in range(count)]


def predictor(temporal: dict | None = MEMORY, **options) -> Predictor:
    model = segmentor(temporal, trained=temporal is not None)
    torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=0.3)
    return Predictor(ready(model), **options)


def labels(predictions) -> list[np.ndarray]:
    return [one.labels for one in predictions]


def assert_equal(got, expected) -> None:
    assert len(got) == len(expected)
    for one, two in zip(got, expected, strict=True):
        assert one.shape == two.shape and (one == two).all()


def test_a_stream_remembers_and_images_do_not():
    predict, frames = predictor(), pictures()
    found = labels(predict.stream(frames))
    images = labels(predict(frames))
    assert len(np.unique(images[0])) > 1
    assert (found[0] == images[0]).all()
    assert any((one != two).any() for one, two in zip(found[1:], images[1:], strict=True))
    assert_equal(labels(predict.stream(iter(frames))), found)  # nothing is left behind in the model


def test_predictions_say_where_another_scene_begins():
    predict, one, other = predictor(), pictures(3), pictures(3, seed=5)
    assert [found.is_cut for found in predict.stream([*one, *other])] == [False] * 3 + [True] + [False] * 2
    wide = pictures(2, size=(60, 92))  # a change of size is no cut
    assert not any(found.is_cut for found in predict.stream([*one, *wide]))
    assert not any(found.is_cut for found in predict([*one, *other]))
    two = StreamBatch(predict, 2)
    found = [[prediction.is_cut for prediction in two(frames)]
             for frames in zip([*one, *other], pictures(6), strict=True)]
    assert found == [[number == 3, False] for number in range(6)]


def test_any_other_model_segments_frame_by_frame():
    predict, frames = predictor(None), pictures()
    assert_equal(labels(predict.stream(frames)), labels(predict(frames)))


def test_a_stream_gives_each_result_before_it_reads_on():
    read = []

    def camera():
        for number, frame in enumerate(pictures(3)):
            read.append(number)
            yield frame

    stream = predictor().stream(camera())
    for number in range(3):
        assert next(stream).name == f'frame {number}'
        assert read == list(range(number + 1))


def test_batched_streams_give_the_labels_of_each_alone():
    predict = predictor()
    videos = [pictures(6, seed) for seed in range(3)] + [pictures(6, 4, (48, 90))]  # the last of another size
    expected = [labels(predict.stream(video)) for video in videos]
    streams = StreamBatch(predict, 4)
    for number, frames in enumerate(zip(*videos, strict=True)):
        assert_equal(labels(streams(frames)), [one[number] for one in expected])


def test_a_stream_without_a_frame_waits():
    predict, video = predictor(), pictures(5)
    streams = StreamBatch(predict, 2)
    expected = labels(predict.stream(video))
    for number, frame in enumerate(video):
        if number == 2:
            before = streams.state(0)
            assert streams([None, None]) == [None, None]
            assert streams([None, frame])[0] is None and streams.state(0) is before
            streams.restore(streams.state(0), 1)
        found = streams([frame, frame if number < 2 else None])
        assert (found[0].labels == expected[number]).all()


def test_a_state_goes_on_where_it_was_saved(tmp_path):
    predict, video = predictor(), pictures(6)
    expected = labels(predict.stream(video))
    streams = StreamBatch(predict, 2)
    for frame in video[:3]:
        streams([frame, None])
    assert streams.state(1) is None
    streams.state(0).save(tmp_path / 'state.safetensors')
    state = StreamState.load(tmp_path / 'state.safetensors')
    assert_equal(labels(predict.stream(video[3:], state)), expected[3:])
    assert_equal(labels(predict.stream(video[3:], state)), expected[3:])  # which is still the same
    other = StreamBatch(predictor(), 2)
    other.restore(state, 1)
    assert_equal([other([None, frame])[1].labels for frame in video[3:]], expected[3:])


def test_reset_begins_anew():
    predict, video = predictor(), pictures(4)
    streams = StreamBatch(predict, 2)
    for frame in video[:2]:
        streams([frame, frame])
    streams.reset(1)
    one, two = streams([video[2], video[2]])
    assert (two.labels == predict(video[2]).labels).all() and (one.labels != two.labels).any()
    streams.reset()
    assert streams.state(0) is None and streams.state(1) is None


def test_a_bad_frame_leaves_all_states_as_they_were():
    predict, video = predictor(), pictures(4)
    streams = StreamBatch(predict, 2)
    streams([video[0], video[0]])
    before = streams.state(0), streams.state(1)
    with pytest.raises(InputError, match=r'streams\[1\], frame 1'):
        streams([video[1], np.zeros((0, 4, 3), np.uint8)])
    assert (streams.state(0), streams.state(1)) == before
    expected = labels(predict.stream(video))
    assert (streams([video[1], video[1]])[1].labels == expected[1]).all()


def test_a_stream_names_the_frame_that_is_bad():
    stream = predictor().stream([pictures(1)[0], b'no image'])
    next(stream)
    with pytest.raises(InputError, match='frame 1'):
        next(stream)


@pytest.mark.parametrize('count', [0, -1, 1.0, True, None])
def test_numbers_of_streams_that_are_none(count):
    with pytest.raises(InputError, match='num_streams must be a positive integer'):
        StreamBatch(predictor(None), count)


def test_wrong_streams_and_states():
    predict = predictor()
    streams = StreamBatch(predict, 2)
    with pytest.raises(InputError, match='1 frames for 2 streams'):
        streams(pictures(1))
    for call in (streams.reset, streams.state, lambda stream: streams.restore(None, stream)):
        with pytest.raises(InputError, match='stream must be from 0 to 1, got 2'):
            call(2)
    streams(pictures(1) * 2)
    both = StreamState.joined([streams.state(0), streams.state(1)], streams.state(0).size)
    with pytest.raises(InputError, match='of 2 streams; restore them one by one'):
        streams.restore(both)
    assert len(both) == 2
    streams.restore(both[1:2])
    with pytest.raises(InputError, match='of another model'):
        next(predictor(dict(MEMORY, num_memory_tokens=3)).stream(pictures(1), streams.state(0)))


def test_files_that_are_no_states(tmp_path):
    path = tmp_path / 'state.safetensors'
    with pytest.raises(InputError, match=r'state\.safetensors.*cannot be read.*begin the stream anew'):
        StreamState.load(path)
    path.write_bytes(b'nonsense')
    with pytest.raises(InputError, match=r'state\.safetensors.*cannot be read'):
        StreamState.load(path)
    save_file(dict(weight=torch.zeros(2)), path)
    with pytest.raises(InputError, match=r'state\.safetensors.*no stream state'):
        StreamState.load(path)
    streams = StreamBatch(predictor(), 1)
    streams(pictures(1))
    state = streams.state()
    state.tensors['memory'][0, 0, 0] = float('nan')
    state.save(path)
    with pytest.raises(InputError, match=r'state\.safetensors.*memory.*not finite'):
        StreamState.load(path)


def test_saving_replaces_a_state_whole(tmp_path):
    path, streams = tmp_path / 'state.safetensors', StreamBatch(predictor(), 1)
    for frame in pictures(3):
        streams([frame])
        streams.state().save(path)
    assert int(StreamState.load(path).tensors['frames']) == 3
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_half_precision_and_no_compilation():
    frames = pictures(4)
    expected = labels(predictor().stream(frames))
    model = predictor().model
    found = labels(Predictor(optimize(model, 'bf16')).stream(frames))
    assert np.mean([(one == two).mean() for one, two in zip(found, expected, strict=True)]) > 0.95
    with pytest.raises(InputError, match='StreamSegmentor is not compiled'):
        optimize(predictor().model, compile=True)
    same = labels(Predictor(optimize(predictor().model)).stream(frames))
    assert np.mean([(one == two).mean() for one, two in zip(same, expected, strict=True)]) > 0.999


def test_confidence_of_streams():
    predict = predictor(with_confidence=True)
    one, two = list(predict.stream(pictures(2)))
    assert two.confidence.shape == SIZE and 0 < two.confidence.min() <= two.confidence.max() <= 1
