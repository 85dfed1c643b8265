"""`VideoMetric`: hand-made videos of 2 x 3 pixels, and a slow implementation that keeps all frames."""
import copy
import logging

import numpy as np
import pytest
import torch
from mmengine.registry import METRICS
from mmseg.evaluation import IoUMetric
from PIL import Image

from mmseg_vittm.errors import DataError, InputError
from mmseg_vittm.evaluation import VideoMetric

V = 255


def metric(classes: int = 3, **arguments) -> VideoMetric:
    made = VideoMetric(**arguments)
    made.dataset_meta = dict(classes=[f'class {number}' for number in range(classes)])
    return made


def sample(video, index, prediction, truth, **about) -> dict:
    """What an evaluator hands over of a frame; labels as rows."""
    def labels(rows):
        return dict(data=torch.tensor(np.array(rows), dtype=torch.int64)[None])
    return dict(video=video, frame_index=index, img_path=f'{video}/{index}.jpg', is_labelled=True, region_path=None,
                pred_sem_seg=labels(prediction), gt_sem_seg=labels(truth)) | about


def scores(samples, batch: int = 1, made: VideoMetric | None = None, **arguments) -> dict:
    made = made or metric(**arguments)
    for begin in range(0, len(samples), batch):
        made.process({}, samples[begin:begin + batch])
    return made.evaluate(len(samples))


TRUTHS = ([[0, 0, 1], [1, 2, V]],  # the first 2 x 3 video: 3 labelled frames
          [[0, 0, 1], [2, 2, 1]],
          [[0, 1, 1], [2, 2, 1]])
GUESSES = ([[0, 1, 1], [1, 2, 0]],
           [[0, 0, 1], [2, 0, 1]],
           [[0, 1, 2], [2, 0, 0]])


def test_by_hand():
    """Pixels a b c / d e f. Void: f in the first frame.

    Windows of 2: frames 1 and 2 keep a, b, c, e (d changes, f was void); right in both: a, c: 2 of 4. Frames 2 and 3
    keep a, c, d, e, f (b changes); right in both: a, d: 2 of 5. The mean is 45 percent. Window of 3: a, c, e stay, a is
    right throughout: 1 of 3. Flips: from 1 to 2, of a, b, c, e: b (1 to 0) and e (2 to 0): 2 of 4; from 2 to 3, of
    a, c, d, e, f: c and f: 2 of 5; together 4 of 9.
    Right pixels: a, c, d, e / a, b, c, d, f / a, b, d: 12 of 17.
    """
    samples = [sample('v', *each) for each in zip((0, 1, 2), GUESSES, TRUTHS, strict=True)]
    found = scores(samples, windows=(2, 3))
    assert found['mVC2'] == 45.0 and found['mVC3'] == 33.33 and found['flips'] == 44.44 and found['aAcc'] == 70.59
    assert list(found) == ['aAcc', 'mIoU', 'mAcc', 'mVC2', 'mVC3', 'flips']


def test_a_window_without_a_pixel_that_stays_has_no_say():
    truths = [[[0, 1, 2]], [[1, 2, 0]], [[1, 2, 1]]]
    samples = [sample('v', index, [[1, 2, 2]], truth) for index, truth in enumerate(truths)]
    assert scores(samples, windows=(2, ))['mVC2'] == 100.0  # of frames 2 and 3; frames 1 and 2 share no pixel


def slow(samples, windows) -> dict:
    """The definitions, over all frames of every video at once."""
    shares, flipped, unmoved = {window: [] for window in windows}, 0, 0
    for video in sorted({one['video'] for one in samples}):
        frames = [one for one in samples if one['video'] == video and one['is_labelled']]
        if not frames:
            continue
        truth, guess = (np.stack([one[key]['data'][0].numpy() for one in frames]) for key in ('gt_sem_seg',
                                                                                             'pred_sem_seg'))
        for window in windows:
            for begin in range(len(frames) - window + 1):
                part, said = truth[begin:begin + window], guess[begin:begin + window]
                stays = (part == part[0]).all(0) & (part[0] != V)
                if stays.any():
                    shares[window].append((said == part).all(0)[stays].mean())
        for number in range(len(frames) - 1):
            stays = (truth[number] == truth[number + 1]) & (truth[number] != V)
            unmoved += stays.sum()
            flipped += (stays & (guess[number] != guess[number + 1])).sum()
    found = {f'mVC{window}': np.mean(each) * 100 for window, each in shares.items() if each}
    return found | dict(flips=100 * flipped / unmoved)


def random_samples(seed: int, lengths: dict[str, int], size: tuple[int, int] = (7, 5)) -> list[dict]:
    """Videos that change a little from frame to frame, with void pixels and frames without labels, interleaved."""
    rng, videos = np.random.default_rng(seed), {}
    for video, length in lengths.items():
        truth, videos[video] = rng.integers(0, 4, size), []
        for index in range(length):
            truth = np.where(rng.random(size) < 0.05, rng.integers(0, 4, size), truth)
            shown = np.where(rng.random(size) < 0.03, V, truth)
            guess = np.where(rng.random(size) < 0.1, rng.integers(0, 4, size), truth)
            labelled = rng.random() < 0.85
            videos[video].append(sample(video, index, guess, shown if labelled else np.full(size, V),
                                        is_labelled=labelled))
    order = rng.permutation([video for video, frames in videos.items() for _ in frames])
    return [videos[video].pop(0) for video in order]


@pytest.mark.parametrize('seed,batch', [(0, 1), (1, 3), (2, 4)])
def test_against_the_slow_way(seed, batch):
    samples = random_samples(seed, dict(a=25, b=9, c=1, d=14))
    windows = (2, 3, 8, 16)
    found, wanted = scores(samples, batch, classes=4, windows=windows), slow(samples, windows)
    assert set(wanted) == {'mVC2', 'mVC3', 'mVC8', 'mVC16', 'flips'} <= set(found)
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, abs=0.00501), name
    plain = IoUMetric()
    plain.dataset_meta = dict(classes=list('abcd'))
    plain.process({}, [one for one in samples if one['is_labelled']])
    assert plain.evaluate(99) == {name: found[name] for name in ('aAcc', 'mIoU', 'mAcc')}


def test_the_default_windows_and_the_registry():
    made = METRICS.build(dict(type='mmseg.VideoMetric'))
    assert made.windows == (8, 16) and isinstance(made, IoUMetric)
    made.dataset_meta = dict(classes=list('abcd'))
    assert {'mVC8', 'mVC16'} <= set(scores(random_samples(0, dict(a=40)), made=made))


@pytest.mark.parametrize('processes', [2, 3])
def test_several_processes_by_hand(processes, monkeypatch):
    """Results as mmengine gathers them: one of each process in turn, cut off at the size of the data set."""
    samples = random_samples(5, dict(a=20, b=9, c=11, d=3))
    alone = scores(samples, classes=4)
    parts = []
    for rank in range(processes):
        monkeypatch.setattr('mmseg_vittm.evaluation.video_metric.get_rank', lambda rank=rank: rank)
        one = metric(classes=4)
        one.process({}, [each for each in samples if 'abcd'.index(each['video']) % processes == rank])
        parts.append(one.results)
    gathered = [part[at] for at in range(max(map(len, parts))) for part in parts if at < len(part)][:len(samples)]
    assert metric(classes=4).compute_metrics(gathered) == alone


def test_a_video_of_several_processes(monkeypatch):
    results = []
    for rank in (0, 1):
        monkeypatch.setattr('mmseg_vittm.evaluation.video_metric.get_rank', lambda rank=rank: rank)
        one = metric()
        one.process({}, [sample('v', index, TRUTHS[1], TRUTHS[1]) for index in range(rank, 6, 2)])
        results += one.results
    with pytest.raises(InputError, match="frames of video 'v' went to several processes; set sampler=.*VideoSampler"):
        metric().compute_metrics(results)


def test_memory_does_not_grow():
    """Per video two frames and two counts; nothing of a video whose last frame is through, labelled or not."""
    made = metric(classes=4, windows=(16, ))
    for one in random_samples(0, dict(a=60, b=20)):
        made.process({}, [one | dict(video_frames=dict(a=60, b=20)[one['video']])])
        for video in made._videos.values():
            kept = [value for value in vars(video).values() if isinstance(value, torch.Tensor)]
            assert sum(value.numel() * value.element_size() for value in kept) == 4 * 35 * 2
        assert all(isinstance(value, (int, float, str, tuple, dict, type(None))) for each in made.results
                   for value in each.values())
    assert not made._videos and made.results
    made.process({}, [sample('v', 0, GUESSES[0], TRUTHS[0], video_frames=2)])
    assert made._videos
    made.process({}, [sample('v', 1, GUESSES[0], TRUTHS[0], video_frames=2, is_labelled=False)])
    assert not made._videos


def write_mask(path, rows):
    Image.fromarray(np.array(rows, np.uint8)).save(path)
    return str(path)


def test_a_region_by_hand(tmp_path):
    """Masked: b, c of the first frame, f (void) too; a of the second. Of class 0: truth b, a, right a: 1 of 2; of
    class 1: truth c, said b, c: 1 of 2; class 2 is nowhere.
    """
    masks = [write_mask(tmp_path / '0.png', [[0, 1, 7], [0, 0, 1]]),
             write_mask(tmp_path / '1.png', [[1, 0, 0], [0, 0, 0]])]
    samples = [sample('v', index, GUESSES[index], TRUTHS[index], region_path=path)
               for index, path in enumerate([*masks, None])]
    found = scores(samples, windows=(2, ))
    assert found['mIoU_hidden'] == 50.0 and found['mIoU'] != 50.0
    assert found['mIoU'] == scores([dict(one, region_path=None) for one in samples], windows=(2, ))['mIoU']
    found = scores(samples, windows=(2, ), region='behind', prefix='video')
    assert found['video/mIoU_behind'] == 50.0 and 'video/mVC2' in found


def test_a_region_that_is_nowhere(tmp_path, log_lines):
    samples = [sample('v', 0, GUESSES[0], TRUTHS[0], region_path=write_mask(tmp_path / '0.png', [[0] * 3, [0, 0, 1]]))]
    found = scores(samples, windows=())
    assert 'mIoU_hidden' not in found and not any(np.isnan(value) for value in found.values())
    lines = [line for line in log_lines.of('WARNING') if 'mIoU_hidden' in line]
    assert lines == ['VideoMetric: mIoU_hidden is left out: the masks have no labelled pixel']


def test_bad_masks(tmp_path):
    small = write_mask(tmp_path / 'small.png', [[0, 1]])
    for path, said in ((small, 'small.png: a mask of shape 1 x 2, of an image of 2 x 3'),
                       (str(tmp_path / 'none.png'), 'none.png: no such file')):
        with pytest.raises(DataError, match=said):
            scores([sample('v', 0, GUESSES[0], TRUTHS[0], region_path=path)])


def test_what_says_nothing_is_left_out_with_a_warning(log_lines):
    found = scores([sample('v', index, GUESSES[index], TRUTHS[index]) for index in range(3)], windows=(2, 8))
    assert 'mVC2' in found and 'mVC8' not in found
    lines = [line for line in log_lines.of('WARNING') if 'left out' in line]
    assert lines == ['VideoMetric: mVC8 is left out: no video has 8 labelled frames with a pixel whose class stays']
    found = scores([sample(video, 0, GUESSES[0], TRUTHS[0]) for video in 'abc'], windows=())
    assert set(found) == {'mIoU', 'aAcc', 'mAcc'}
    assert any('flips is left out' in line for line in log_lines.of('WARNING'))


def test_frames_without_labels_only_pass():
    labelled = [sample('v', 2 * index, GUESSES[index], TRUTHS[index]) for index in range(3)]
    blank = [[V] * 3] * 2
    between = [sample('v', index, [[2, 2, 2]] * 2, blank, is_labelled=False) for index in (1, 3)]
    bare = sample('v', 5, [[2, 2, 2]] * 2, blank, is_labelled=False)
    bare.pop('gt_sem_seg')
    mixed = [labelled[0], between[0], labelled[1], between[1], labelled[2], bare]
    assert scores(mixed, windows=(2, 3)) == scores(labelled, windows=(2, 3))
    with pytest.raises(InputError, match='no frame has a label; correct data_prefix'):
        scores(between)


def test_predictions_are_written(tmp_path):
    frames = [sample('v', 0, GUESSES[0], TRUTHS[0]), sample('v', 1, GUESSES[1], TRUTHS[1], is_labelled=False)]
    assert 'mIoU' in scores(frames, output_dir=str(tmp_path / 'out'))
    for index in (0, 1):
        assert np.array_equal(Image.open(tmp_path / f'out/{index}.png'), GUESSES[index])
    only = metric(output_dir=str(tmp_path / 'only'), format_only=True)
    frames[0].pop('gt_sem_seg')
    only.process({}, frames)
    assert only.evaluate(2) == {} and np.array_equal(Image.open(tmp_path / 'only/1.png'), GUESSES[1])


def test_a_second_evaluation_begins_anew():
    made = metric(windows=(2, 3))
    samples = [sample('v', index, GUESSES[index], TRUTHS[index]) for index in range(3)]
    first = scores(samples, made=made)
    assert not made._videos and scores(samples, made=made) == first
    assert scores(samples[:2], made=made)['mVC2'] == 50.0


@pytest.mark.parametrize('change,said', [
    (dict(video=None), 'v/1.jpg is a frame of no video; give the dataloader a VideoSegDataset'),
    (dict(frame_index=0), "frame 0 of video 'v' came after frame 0; set sampler="),
    (dict(gt_sem_seg=dict(data=torch.zeros(1, 2, 4))), 'label of v/1.jpg is 4 x 2 pixels, its prediction 3 x 2 pixels'),
    (dict(gt_sem_seg=dict(data=torch.zeros(1, 3, 2)), pred_sem_seg=dict(data=torch.zeros(1, 3, 2))),
     "v/1.jpg is 2 x 3 pixels, frames before of video 'v' are 3 x 2 pixels")])
def test_bad_frames(change, said):
    with pytest.raises(InputError, match=said):
        scores([sample('v', 0, GUESSES[0], TRUTHS[0]), sample('v', 1, GUESSES[1], TRUTHS[1]) | change])


def test_a_frame_that_came_without_its_label():
    bare = sample('v', 0, GUESSES[0], TRUTHS[0])
    bare.pop('gt_sem_seg')
    with pytest.raises(InputError, match='v/0.jpg comes without its label; put LoadAnnotations into'):
        scores([bare])


@pytest.mark.parametrize('windows', [(1, ), (8, 2.0), ('8', )])
def test_windows_are_checked(windows):
    with pytest.raises(InputError, match='windows must be numbers of frames, 2 or more each'):
        VideoMetric(windows=windows)


def test_samples_stay_as_they_are():
    samples = random_samples(0, dict(a=5))
    before = copy.deepcopy(samples)
    scores(samples, classes=4, windows=(2, ))
    for one, other in zip(samples, before, strict=True):
        assert torch.equal(one['gt_sem_seg']['data'], other['gt_sem_seg']['data'])
        assert torch.equal(one['pred_sem_seg']['data'], other['pred_sem_seg']['data'])


def test_the_table_of_classes(caplog, log_lines):
    with caplog.at_level(logging.INFO):
        scores([sample('v', index, GUESSES[index], TRUTHS[index]) for index in range(3)], windows=(2, ))
    assert any('class 2' in line for line in log_lines.of('INFO'))
