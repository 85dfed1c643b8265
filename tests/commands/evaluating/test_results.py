"""What an evaluation's results are written as: numbers by hand, sentences, colours of pictures."""
import csv
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from mmengine.config import Config
from mmengine.dataset import Compose
from mmseg.registry import TRANSFORMS
from plotted import texts_of
from rich.console import Console

from mmseg_vittm.commands.evaluating import pictures
from mmseg_vittm.commands.evaluating.confusion_figure import NUMBERED, confusion_figure
from mmseg_vittm.commands.evaluating.files import class_csv, class_table, summary, write_results
from mmseg_vittm.commands.evaluating.findings import findings
from mmseg_vittm.commands.evaluating.pictures import caption, contact_sheet, panels_of, strip
from mmseg_vittm.commands.evaluating.reliability_figure import reliability_figure
from mmseg_vittm.commands.evaluating.report import render_report
from mmseg_vittm.commands.evaluating.results import FILES, Results
from mmseg_vittm.commands.evaluating.scoring import _gives_bgr
from mmseg_vittm.evaluation import DetailedMetric
from mmseg_vittm.evaluation.calibration import Reliability
from mmseg_vittm.visualization.style import BLUE, FAINT, RED, house_style

CLASSES, PALETTE = ('sky', 'road', 'car <x>', 'never'), ((70, 130, 180), (128, 64, 128), (0, 0, 142), (1, 2, 3))
V = 255
TRUTH = [[0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 2, V], [1, 1, 1, 1, 2, V]]
GUESS = [[0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 1, 0]]
RIGHT = [[0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 2, 0], [1, 1, 1, 1, 2, 0]]
INPUT = np.arange(3 * 3 * 6, dtype=np.uint8).reshape(3, 3, 6)


def results(guesses=(GUESS, RIGHT), worst=2, confidence=0.9, truth=TRUTH, **changes) -> Results:
    """Results of images of 3 x 6 pixels, two of them void."""
    metric = DetailedMetric(worst=worst)
    metric.dataset_meta = dict(classes=CLASSES)
    for number, guess in enumerate(guesses):
        sample = dict(img_path=f'/data/images/{number}/scene.png', gt_sem_seg=dict(data=torch.tensor([truth])),
                      pred_sem_seg=dict(data=torch.tensor([guess])))
        if confidence is not None:
            sample['confidence'] = dict(data=torch.as_tensor(confidence).expand(1, 3, 6))
        metric.process(dict(inputs=[torch.tensor(INPUT)]), [sample])
    metric.evaluate(len(guesses))
    return Results(**dict(
        config='configs/streets.py', checkpoint='work/iter_9.pth', split='val', details=metric.details,
        worst=metric.worst, palette=PALETTE, is_bgr=False, boundary=0.02,
        conditions=dict(device='cpu', versions=dict(torch='2.15.0'))) | changes)


def test_the_table_by_hand():
    """Of GUESS: sky 4 of 6 right, and one road taken for it; road 7 of 8, and 2 + 2 others taken for it; car 0 of 2."""
    rows = list(csv.DictReader(io.StringIO(class_csv(results([GUESS])))))
    assert [row['class'] for row in rows] == list(CLASSES)
    assert [row['IoU'] for row in rows] == ['57.14', '58.33', '0.00', '']
    assert [row['recall'] for row in rows] == ['66.67', '87.50', '0.00', '']
    assert [row['precision'] for row in rows] == ['80.00', '63.64', '', '']
    assert [row['F1'] for row in rows] == ['72.73', '73.68', '0.00', '']
    assert [row['pixels'] for row in rows] == ['6', '8', '2', '0'] and [row['images'] for row in rows] == list('1110')


def test_the_table_on_the_terminal():
    console = Console(record=True, width=110, file=io.StringIO())
    console.print(class_table(results([GUESS])))
    said = console.export_text()
    assert all(word in said for word in (*CLASSES, '57.14', '38.49', 'streets, val: 1 images'))
    assert 'never' in said and ' - ' in said


def test_the_summary():
    found = summary(results([GUESS], left_out=['x.png']))
    assert found['mIoU'] == round(100 * (4 / 7 + 7 / 12) / 3, 4) and found['aAcc'] == 68.75
    assert found['mAcc'] == round(100 * (4 / 6 + 7 / 8) / 3, 4) and found['ECE'] == pytest.approx(21.25, abs=1e-3)
    assert found['images'] == 1 and found['left_out'] == 1 and found['versions'] == dict(torch='2.15.0')
    nothing = json.loads(json.dumps(summary(results([GUESS], truth=[[V] * 6] * 3))))
    assert all(nothing[name] is None for name in ('mIoU', 'aAcc', 'mAcc', 'mBIoU', 'ECE'))


def test_findings_by_hand():
    said = findings(results([GUESS]).details)
    assert said[0] == 'Hardly ever found, or never: car <x>.'
    assert said[1].startswith('Weakest of the others: sky (IoU 57.1, 37.5% of the pixels), road (IoU 58.3, 50.0%')
    assert said[2].startswith('31.2% of the pixels are wrong. Most of them: sky taken for road (40% of the wrong '
                              'pixels, 33% of sky); car <x> taken for road (40% of the wrong pixels, 100% of '
                              'car <x>); road taken for sky (20%')
    assert said[-1] == ('The model is too sure of itself: it says 90.0% on average, and is right in 68.8% of the '
                        'pixels; ECE 21.25%.')


def test_findings_of_a_perfect_model():
    said = findings(results([RIGHT], confidence=0.995).details)
    assert not any('wrong' in line or 'Hardly' in line or 'Outlines' in line for line in said)
    assert 'well calibrated' in said[-1]
    assert 'not sure enough' in findings(results([RIGHT], confidence=0.7).details)[-1]
    assert 'sure' not in ' '.join(findings(results([GUESS], confidence=None).details))


def test_findings_of_a_model_whose_errors_cancel():
    """It says 67.5% on average, and is right in 68.8%: but the more often the less sure it is."""
    confidence = torch.where(torch.tensor(GUESS) == torch.tensor(TRUTH), 0.55, 0.95)
    assert findings(results([GUESS], confidence=confidence).details)[-1].startswith(
        'The model is too sure here and not sure enough there: it says 67.5% on average, and is right in 68.8%')


def test_panels():
    found = results([GUESS])
    shown, truth, prediction, wrong = panels_of(found.worst[0], found)
    assert (shown == INPUT.transpose(1, 2, 0)).all()
    assert (truth[0] == PALETTE[0]).all() and (truth[1, 5] == 0).all() and (truth[2, 4] == PALETTE[2]).all()
    assert (prediction[0, 5] == PALETTE[1]).all() and (prediction[1, 5] == 0).all(), 'void is black in both'
    marked = np.zeros((3, 6), bool)
    marked[0, 4:], marked[1:, 4], marked[2, 3] = True, True, True
    assert (wrong[marked] == prediction[marked]).all()
    assert (wrong[~marked] == wrong[~marked][:, :1]).all(), 'what is right is grey'


def test_the_input_is_shown_in_its_colours():
    found = results([GUESS], is_bgr=True)
    assert (panels_of(found.worst[0], found)[0] == INPUT.transpose(1, 2, 0)[..., ::-1]).all()
    metric = DetailedMetric(worst=1)
    metric.dataset_meta = dict(classes=CLASSES)
    sample = dict(img_path='x', gt_sem_seg=dict(data=torch.tensor([TRUTH])),
                  pred_sem_seg=dict(data=torch.tensor([GUESS])))
    metric.process(dict(inputs=[torch.linspace(-5, 9000, 12 * 18).reshape(12, 3, 6)]), [sample])  # bands of floats
    metric.evaluate(1)
    shown = panels_of(metric.worst[0], found)[0]
    assert shown.dtype == np.uint8 and shown.min() == 0 and shown.max() == 255
    metric.process({}, [sample])
    metric.evaluate(1)
    assert len(panels_of(metric.worst[0], found)) == 3, 'no input is known'


def test_captions_and_the_sheet():
    found = results()
    assert caption(found.worst[0], 1, found) == ('1. 0/scene.png: mIoU 38.5 · sky taken for road 12% · car <x> taken '
                                                 'for road 12% · road taken for sky 6% · missed: car <x>')
    assert caption(found.worst[1], 2, found) == '2. 1/scene.png: mIoU 100.0'
    sheet = contact_sheet(found)
    for number, one in enumerate(found.worst):
        assert places(sheet, strip(panels_of(one, found), number == 0)), 'every strip is on it'
    for colour in PALETTE[:3]:
        assert (sheet[:80] == colour).all(-1).sum() > 100, 'a legend of the classes seen'
    assert not (sheet == PALETTE[3]).all(-1).any()


def places(picture: np.ndarray, part: np.ndarray) -> list[tuple[int, int]]:
    """Where a part stands in a picture."""
    height, width = part.shape[:2]
    return [(y, x) for y in range(picture.shape[0] - height + 1) for x in (8, ) if x + width <= picture.shape[1]
            and (picture[y:y + height, x:x + width] == part).all()]


def test_a_sheet_is_no_higher_than_a_jpeg_can_be(tmp_path, monkeypatch):
    """All are in the report; the sheet has as many as there is room for."""
    found = results([GUESS] * 40, worst=40)
    monkeypatch.setattr(pictures, 'HIGHEST', 2000)
    sheet = contact_sheet(found)
    assert 1500 < sheet.shape[0] < 2300
    write_results(tmp_path, found)
    assert (tmp_path / 'report.html').read_text().count('image/jpeg') == 40
    monkeypatch.undo()
    assert pictures.HIGHEST < 65_000


def test_names_that_are_no_text(tmp_path):
    found = results()
    for image in found.details.images:
        object.__setattr__(image, 'name', '/data/\udcff/a.png')
    for image in found.worst:
        object.__setattr__(image, 'score', replace(image.score, name='/data/\udcff/a.png'))
    write_results(tmp_path, found)
    assert r'\xff' in found.short_name('/data/b/\udcff.png')


@pytest.mark.parametrize('step,swap,bgr', [
    ('LoadBands', True, False), ('LoadBands', False, False), ('LoadImageFromFile', False, True),
    ('LoadImageFromFile', True, True), ('RandomFlip', True, True), ('RandomFlip', False, False)])
def test_which_colour_comes_first(mmseg_scope, step, swap, bgr):
    """What reads the images decides; only where that is unknown, what the model does with them."""
    reader = TRANSFORMS.build(dict(type=step) | (dict(prob=0.5) if step == 'RandomFlip' else {}))
    cfg = Config(dict(model=dict(data_preprocessor=dict(bgr_to_rgb=swap))))
    assert _gives_bgr(cfg, SimpleNamespace(pipeline=Compose([reader]))) is bgr


def test_a_caption_wider_than_the_sheet_is_cut():
    names = tuple(f'class {"x" * 90} {number}' for number in range(4))
    found = results()
    object.__setattr__(found.details, 'classes', names)
    sheet = contact_sheet(found)
    widest = max(strip(panels_of(one, found)).shape[1] for one in found.worst)
    assert sheet.shape[1] == widest + 16 and (sheet[120:, -8:] == 255).all()


def cells(figure) -> np.ndarray:
    return figure.axes[0].images[0].get_array()


def test_the_confusion_figure():
    with house_style():
        matrix = np.array([[75, 25, 0], [0, 4, 0], [0, 0, 0]])
        figure = confusion_figure(matrix, ['sky', 'road', '\x1b[31mcar'], 'a title')
        figure.canvas.draw()
    picture, texts = cells(figure), texts_of(figure)
    np.testing.assert_allclose(picture[1, 1], to_rgb(BLUE))
    np.testing.assert_allclose(picture[0, 1], 1 - 0.5 * (1 - np.array(to_rgb(RED))))  # the root of a quarter
    np.testing.assert_allclose(picture[0, 2], 1)
    np.testing.assert_allclose(picture[2], [to_rgb(FAINT)] * 3)
    assert set(texts) >= {'75', '25', '100', 'a title', 'not in the data', 'sky', '\\x1b[31mcar'} and '0' not in texts


@pytest.mark.parametrize('classes', [2, 11, NUMBERED, NUMBERED + 1, 150])
def test_texts_of_the_confusion_figure_keep_apart(classes):
    rng = np.random.default_rng(classes)
    matrix = rng.integers(0, 9, (classes, classes)) ** 4 + np.diag(rng.integers(0, 90000, classes))
    with house_style():
        figure = confusion_figure(matrix, [f'class number {number}' for number in range(classes)], 'title')
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        texts = (text for axes in figure.axes for text in (*axes.texts, *axes.get_xticklabels(),
                                                           *axes.get_yticklabels()))
        shown = [text for text in texts if text.get_text()]
        boxes = np.array([text.get_window_extent(renderer).extents for text in shown])
    width, height = figure.bbox.size
    assert boxes.min() >= 0 and boxes[:, 2].max() <= width and boxes[:, 3].max() <= height
    left, bottom, right, top = (boxes[:, None, at] for at in range(4))
    both = np.less(left, right.T) & np.less(left.T, right) & np.less(bottom, top.T) & np.less(bottom.T, top)
    assert both.sum() == len(shown), [shown[a].get_text() for a, b in zip(*np.nonzero(both), strict=True) if a != b][:4]
    listed = any('What costs' in text.get_text() for text in shown)
    assert listed == (classes > NUMBERED)


def test_the_reliability_figure():
    counts = Reliability(np.array([0, 10, 30, 60]), np.array([0, 5, 15, 54]), np.array([0, 4.0, 19.5, 57.0]))
    with house_style():
        figure = reliability_figure(counts, 'a title')
    above, below = figure.axes
    heights = {round(bar.get_x() + bar.get_width() / 2, 1): bar.get_height() for bar in above.containers[0]}
    assert heights == {37.5: 50.0, 62.5: 50.0, 87.5: 90.0}
    gaps = [(bar.get_y(), bar.get_height()) for bar in above.containers[1]]
    np.testing.assert_allclose(gaps, [(50, -10), (50, 15), (90, 5)])
    assert [bar.get_height() for bar in below.containers[0]] == [0, 10, 30, 60]
    assert any('ECE 8.50%' in text for text in texts_of(figure))


def test_the_report():
    page = render_report(results(left_out=['x.png']), dict(confusion=b'<svg/>', reliability=b'<svg/>'))
    assert 'car &lt;x&gt;' in page and '<x>' not in page and 'streets on the val split' in page
    assert page.count('image/jpeg') == 2 and page.count('svg+xml') == 2 and 'a smaller data set' in page
    without = render_report(results(confidence=None, worst=0), dict(confusion=b'<svg/>'))
    assert 'does not say how sure' in without and 'calibration error' not in without and 'image/jpeg' not in without


def test_files_are_written(tmp_path):
    write_results(tmp_path, results())
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)
    few = tmp_path / 'few'
    write_results(few, results(confidence=None, worst=0))
    assert {path.name for path in few.iterdir()} == {
        name for name in FILES if name != 'worst.jpg' and not name.startswith('reliability')}
    again = tmp_path / 'again'
    write_results(again, results())
    assert all((again / name).read_bytes() == (tmp_path / name).read_bytes() for name in FILES), 'the same every time'
