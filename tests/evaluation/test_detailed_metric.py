"""`DetailedMetric` against MMSegmentation's `IoUMetric` and against whole maps; several processes, worst images."""
import copy

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import METRICS
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.structures import SegDataSample

import mmseg_vittm.evaluation.detailed_metric as module
from mmseg_vittm.errors import InputError
from mmseg_vittm.evaluation import DetailedMetric
from mmseg_vittm.evaluation.boundary import count_boundaries
from mmseg_vittm.evaluation.worst import SIDE

CLASSES, SIZE, VOID = 5, (24, 32), 255


def metric(classes: int = CLASSES, **arguments) -> DetailedMetric:
    made = DetailedMetric(**arguments)
    made.dataset_meta = dict(classes=[f'class {number}' for number in range(classes)])
    return made


def samples(seed: int = 0, count: int = 7, ignore: int = VOID) -> list[dict]:
    """What an evaluator hands over: every image with some classes, void pixels, and logits that are often right."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        coarse = rng.choice([0, 1, 3, 4, ignore][rng.integers(0, 3):], (6, 8))  # class 2 is never there
        truth = torch.tensor(np.kron(coarse, np.ones((4, 4), int)))[None]
        logits = torch.tensor(rng.normal(size=(CLASSES, *SIZE)), dtype=torch.float32)
        valid = truth[0] < CLASSES
        logits += 1.5 * torch.nn.functional.one_hot(truth[0] * valid, CLASSES).permute(2, 0, 1) * valid
        found.append(dict(img_path=f'images/{number:02d}.png', gt_sem_seg=dict(data=truth),
                          pred_sem_seg=dict(data=logits.argmax(0, keepdim=True)), seg_logits=dict(data=logits)))
    return found


def scores(given, made: DetailedMetric, batch: int = 2) -> dict:
    for begin in range(0, len(given), batch):
        made.process({}, given[begin:begin + batch])
    return made.evaluate(len(given))


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('ignore', [VOID, 3])
def test_scores_are_mmsegmentations(seed, ignore):
    given = samples(seed, ignore=ignore)
    theirs = IoUMetric(ignore_index=ignore, iou_metrics=['mIoU'])
    theirs.dataset_meta = dict(classes=['x'] * CLASSES)
    theirs.process({}, given)
    expected = theirs.evaluate(len(given))
    found = scores(given, metric(ignore_index=ignore))
    assert {name: found[name] for name in expected} == pytest.approx(dict(expected), abs=1e-5)  # theirs are float32
    assert 20 < found['mIoU'] < 95 and list(found) == ['aAcc', 'mIoU', 'mAcc', 'mBIoU', 'ECE']


def test_the_rest_against_whole_maps():
    given, made = samples(4), metric(boundary=0.03)
    found = scores(given, made)
    both, either = np.zeros((2, CLASSES))
    confidence, right = [], []
    for one in given:
        truth, prediction = (one[key]['data'][0].numpy() for key in ('gt_sem_seg', 'pred_sem_seg'))
        counts = count_boundaries(prediction.astype(np.uint8), np.where(truth == VOID, CLASSES, truth).astype(np.uint8),
                                  CLASSES, CLASSES, 0.03)
        both[counts.classes] += counts.intersections
        either[counts.classes] += counts.unions
        probable = one['seg_logits']['data'].softmax(0).amax(0).numpy()
        confidence.append(probable[truth != VOID])
        right.append((prediction == truth)[truth != VOID])
    assert found['mBIoU'] == round(100 * np.mean((both / either)[either > 0]), 2)
    confidence, right = np.concatenate(confidence), np.concatenate(right)
    error = sum((inside := (np.ceil(confidence * 15) == bin)).mean() * abs(confidence[inside].mean() - right[
        inside].mean()) for bin in range(1, 16) if (np.ceil(confidence * 15) == bin).any())
    assert found['ECE'] == round(100 * error, 2)
    details = made.details
    assert details.matrix.sum() == len(right) and details.reliability.pixels.sum() == len(right)
    there = [sum((one['gt_sem_seg']['data'] == each).any().item() for one in given) for each in range(CLASSES)]
    assert details.images_with.tolist() == there and there[2] == 0


def test_confidence_or_logits_are_one():
    given = samples(1)
    said = copy.deepcopy(given)
    for one in said:
        one['confidence'] = dict(data=one.pop('seg_logits')['data'].softmax(0).amax(0, keepdim=True))
    assert scores(given, metric()) == scores(said, metric())


def test_without_confidence_there_is_no_calibration(log_lines):
    given = samples(1)
    for one in given:
        del one['seg_logits']
    made = metric()
    assert 'ECE' not in scores(given, made) and made.details.reliability is None
    assert any('with_confidence=True' in line for line in log_lines.of('WARNING'))


def test_logits_of_one_view_are_not_those_of_the_labels(log_lines):
    """SegTTAModel leaves them in the sample that has the labels of all views."""
    given = samples(1)
    given[0]['seg_logits'] = dict(data=given[0]['seg_logits']['data'].flip(2))
    assert 'ECE' not in scores(given[:1], metric())
    assert any('SlideTTAModel' in line for line in log_lines.of('WARNING'))


def test_a_head_of_one_channel():
    """Its `seg_logits` are probabilities of the second class, and its labels floats."""
    probable = torch.tensor([[0.9, 0.2, 0.6, 0.4]])
    sample = dict(img_path='x', gt_sem_seg=dict(data=torch.tensor([[[1, 0, 0, 255]]])),
                  pred_sem_seg=dict(data=(probable > 0.5).float()[None]), seg_logits=dict(data=probable[None]))
    made = metric(classes=2)
    found = scores([sample], made)
    assert found['aAcc'] == 66.67 and made.details.matrix.tolist() == [[1, 1], [0, 1]]
    assert found['ECE'] == pytest.approx(100 * (0.1 + 0.2 + 0.6) / 3, abs=0.01)
    with pytest.raises(InputError, match='class 1 is predicted, but the data set has 1, from 0; .* one output channel'):
        metric(classes=1).process({}, [dict(sample, gt_sem_seg=dict(data=torch.zeros(1, 1, 4).long()))])


@pytest.mark.parametrize('processes', [2, 3])
def test_several_processes(processes, monkeypatch):
    """Samplers deal images out in turn, and the first ones once more where the numbers would differ."""
    given = samples(5, 7)
    made = metric(worst=3)
    alone = scores(given, made)
    padded = given + given[:-len(given) % processes]
    parts = [metric(worst=3) for _ in range(processes)]
    for rank, part in enumerate(parts):
        part.process({}, padded[rank::processes])
    gathered = [one for turn in zip(*(part.results for part in parts), strict=True) for one in turn][:len(given)]
    whole = metric(worst=3)
    monkeypatch.setattr(module, 'all_gather_object', lambda mine: [part._worst.found for part in parts])
    whole.results = gathered
    assert whole.evaluate(len(given)) == alone
    assert [one.score.name for one in whole.worst] == [one.score.name for one in made.worst]
    assert (whole.details.matrix == made.details.matrix).all()


def test_the_worst_images():
    given, made = samples(6, 12), metric(worst=4)
    inputs = [torch.full((3, *SIZE), number, dtype=torch.uint8) for number in range(12)]
    for begin in range(0, 12, 3):
        made.process(dict(inputs=inputs[begin:begin + 3]), given[begin:begin + 3])
    made.evaluate(12)
    single = {}
    for one in given:  # each image as a data set of its own
        single[one['img_path']] = scores([one], metric())['mIoU']
    expected = sorted(single, key=single.get)[:4]
    assert [one.score.name for one in made.worst] == expected
    for one in made.worst:
        number = int(one.score.name[7:9])
        assert round(100 * one.score.miou, 2) == single[one.score.name] and (one.image == number).all()
        assert (one.truth == given[number]['gt_sem_seg']['data'][0].clamp(max=CLASSES).numpy()).all()
        assert (one.prediction == given[number]['pred_sem_seg']['data'][0].numpy()).all()
        pair = one.score.confused[0]
        wrong = {}
        for a, b in zip(*(given[number][key]['data'].reshape(-1).tolist() for key in ('gt_sem_seg', 'pred_sem_seg')),
                        strict=True):
            if a not in (b, VOID):
                wrong[a, b] = wrong.get((a, b), 0) + 1
        assert pair.pixels == max(wrong.values()) == wrong[pair.truth, pair.prediction]
    assert metric().worst == [] and scores(given, again := metric(worst=0)) and again.worst == []


def test_thumbnails_are_small_and_few():
    made = metric(worst=2)
    for number in range(5):
        truth = torch.zeros(1, 3 * SIDE, 2 * SIDE, dtype=torch.long)
        made.process(dict(inputs=[torch.zeros(12, 30, 20)]), [dict(
            img_path=str(number), gt_sem_seg=dict(data=truth), pred_sem_seg=dict(data=truth + (number % 2)))])
    assert len(made._worst.found) == 2
    made.evaluate(5)
    assert [one.score.name for one in made.worst] == ['1', '3']  # the first of equals
    for one in made.worst:
        assert one.truth.shape == one.prediction.shape == (SIDE, 2 * SIDE // 3) and one.truth.dtype == np.uint8
        assert one.image.shape == (*one.truth.shape, 3) and one.image.dtype == np.float32
        assert one.score.missed == [0]


def test_what_is_kept_does_not_grow_with_the_image():
    truth = torch.zeros(1, 400, 600, dtype=torch.long)
    made = metric()
    made.process({}, [dict(img_path='x', gt_sem_seg=dict(data=truth), pred_sem_seg=dict(data=truth),
                           confidence=dict(data=truth.float()))])
    one, = made.results
    kept = [*one.pairs, *one.boundaries, *one.reliability]
    assert sum(array.nbytes for array in kept) < 1000


def test_an_image_without_labels_counts_nowhere():
    given = samples(2, 3)
    empty = copy.deepcopy(given[0]) | dict(img_path='empty.png')
    empty['gt_sem_seg']['data'][:] = VOID
    made = metric(worst=9)
    assert scores([*given, empty], made) == scores(given, metric())
    assert 'empty.png' not in [one.score.name for one in made.worst] and len(made.worst) == 3
    nothing = scores([empty], metric())
    assert all(np.isnan(value) for value in nothing.values())


def test_frames_without_labels_are_passed_over():
    given = samples(2, 3)
    frame = {name: given[0][name] for name in given[0] if name != 'gt_sem_seg'} | dict(is_labelled=False)
    assert scores([given[0], frame, *given[1:]], metric()) == scores(given, metric())


def test_a_second_evaluation_begins_anew():
    made = metric(worst=2)
    scores(samples(1), made)
    again = scores(samples(2), made)
    assert again == scores(samples(2), metric()) and len(made.worst) == 2 and len(made.details.images) == 7
    assert made.worst[0].score.miou == min(one.score.miou for one in made.worst)


def test_in_an_evaluator():
    """As a config has it, beside another metric, with data samples of a model."""
    built = Evaluator([dict(type='mmseg.DetailedMetric', worst=1), dict(type='mmseg.IoUMetric', prefix='other')])
    built.dataset_meta = dict(classes=list('abcde'))
    for one in samples(3):
        sample = SegDataSample(metainfo=dict(img_path=one['img_path']))
        sample.set_data({name: PixelData(data=one[name]['data']) for name in one if name != 'img_path'})
        built.process([sample], dict(inputs=[torch.zeros(3, *SIZE)]))
    found = built.evaluate(7)
    assert found['mIoU'] == found['other/mIoU'] and found['mBIoU'] > 0
    assert isinstance(METRICS.get('mmseg.DetailedMetric'), type)


def change(one: dict, **data) -> dict:
    return one | {name: dict(data=value) for name, value in data.items()}


@pytest.mark.parametrize('changed,said', [
    (lambda one: {name: one[name] for name in one if name != 'gt_sem_seg'}, 'without its label; put LoadAnnotations'),
    (lambda one: {name: one[name] for name in one if name != 'pred_sem_seg'}, 'no segmentation of images/00.png'),
    (lambda one: change(one, gt_sem_seg=torch.zeros(1, 3, 4)), 'is 4 x 3 pixels, its prediction 32 x 24 pixels; put'),
    (lambda one: change(one, gt_sem_seg=torch.full((1, *SIZE), 7)), 'labelled 7, but there are 5 classes'),
    (lambda one: change(one, gt_sem_seg=torch.full((1, *SIZE), 5)), 'labelled 5, but there are 5 classes'),
    (lambda one: change(one, gt_sem_seg=torch.full((1, *SIZE), -1)), 'labelled -1, but'),
    (lambda one: change(one, pred_sem_seg=torch.full((1, *SIZE), 5)), 'class 5 is predicted, but the data set has 5')])
def test_bad_samples(changed, said):
    with pytest.raises(InputError, match=said):
        metric().process({}, [changed(samples()[0])])


@pytest.mark.parametrize('arguments', [
    dict(boundary=0), dict(boundary=0.6), dict(boundary='0.02'), dict(boundary=True), dict(boundary=float('nan')),
    dict(bins=0), dict(bins=1.5), dict(worst=-1), dict(worst=True)])
def test_arguments_are_checked(arguments):
    name, = arguments
    with pytest.raises(InputError, match=name):
        DetailedMetric(**arguments)


def test_samples_stay_as_they_are():
    given = samples()
    before = copy.deepcopy(given)
    metric(worst=2).process({}, given)
    for one, other in zip(given, before, strict=True):
        assert all((one[name]['data'] == other[name]['data']).all() for name in one if name != 'img_path')
