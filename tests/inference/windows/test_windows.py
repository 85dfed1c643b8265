"""Sliding windows as matrices: against MMSegmentation's steps written out, and labels against their reference."""
import itertools
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from windows_example import example

from mmseg_vittm.inference.windows import resampling_matrix, window_labels, window_logits, window_starts
from mmseg_vittm.inference.windows.checked_kernel import count_wrong


def stock_starts(length: int, crop: int, stride: int) -> tuple[int, ...]:
    """Where the loop of MMSegmentation's slide_inference puts its windows."""
    starts = []
    for index in range(max(length - crop + stride - 1, 0) // stride + 1):
        end = min(index * stride + crop, length)
        starts.append(max(end - crop, 0))
    return tuple(starts)


@pytest.mark.parametrize('length,crop,stride,starts', [
    (504, 504, 480, (0, )), (672, 504, 480, (0, 168)), (300, 504, 480, (0, )), (1, 504, 480, (0, )),
    (1500, 504, 480, (0, 480, 960, 996)), (984, 504, 480, (0, 480)), (985, 504, 480, (0, 480, 481))])
def test_starts(length, crop, stride, starts):
    assert window_starts(length, crop, stride) == starts == stock_starts(length, crop, stride)


def stock_axis(cells: torch.Tensor, crop: int, starts: tuple[int, ...], length: int, out: int, before: int, after: int,
               flip: bool, align_corners: bool) -> torch.Tensor:
    """One axis step by step: `cells` (windows, cells) to (out, ), as 2-D maps that are constant along the other."""
    total, count = torch.zeros(1, 1, length, 4), torch.zeros(1, 1, length, 4)
    for window, start in zip(cells, starts, strict=True):
        low = window[None, None, :, None].expand(1, 1, -1, 4)
        total[:, :, start:start + crop] += F.interpolate(low, (crop, 4), mode='bilinear', align_corners=align_corners)
        count[:, :, start:start + crop] += 1
    mean = (total / count)[:, :, before:length - after]
    mean = mean.flip(2) if flip else mean
    return F.interpolate(mean, (out, 4), mode='bilinear', align_corners=align_corners)[0, 0, :, 0]


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('length,crop,stride,cells,out,before,after,flip', [
    (64, 64, 48, 4, 64, 0, 0, False), (100, 64, 48, 5, 71, 0, 0, True), (150, 64, 48, 8, 301, 7, 12, False),
    (150, 64, 20, 8, 90, 0, 30, True), (33, 33, 48, 3, 500, 0, 0, False), (1, 1, 48, 1, 1, 0, 0, False),
    (9, 9, 8, 1, 4, 2, 1, True)])
def test_axis(length, crop, stride, cells, out, before, after, flip, align_corners):
    starts = window_starts(length, crop, stride)
    values = torch.randn(len(starts), cells, generator=torch.Generator().manual_seed(0))
    matrix = resampling_matrix(cells, crop, starts, length, out, before, after, flip, align_corners)
    assert matrix.shape == (out, len(starts) * cells)
    expected = stock_axis(values, crop, starts, length, out, before, after, flip, align_corners)
    assert torch.allclose(matrix @ values.flatten(), expected, atol=1e-5)
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones(out), atol=1e-5, rtol=0)  # a mean of cells


def test_matrices_are_kept_and_usable_in_training():
    arguments = (4, 64, (0, 48), 112, 99)
    with torch.inference_mode():
        matrix = resampling_matrix(*arguments)
    assert resampling_matrix(*arguments) is matrix and not matrix.is_inference()


@pytest.mark.parametrize('height,width', [(1, 1), (94, 144), (17, 1000), (333, 7), (50, 35)])
@pytest.mark.parametrize('classes', [2, 19, 150])
def test_labels_are_the_references(classes, height, width):
    arguments = example(classes, height, width)
    logits = window_logits(*arguments)
    labels = window_labels(*arguments)
    assert logits.shape == (classes, height, width) and labels.shape == (height, width)
    assert labels.dtype == torch.int64
    wrong = labels != logits.argmax(0)
    top = logits.topk(2, dim=0).values
    assert not (wrong & (top[0] - top[1] > 1e-5)).any() and wrong.float().mean() < 1e-4


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_low_precision_logits_are_expanded_in_float32(dtype):
    low, rows, cols = example(19, 94, 144, dtype)
    assert window_logits(low, rows, cols).dtype == torch.float32
    torch.testing.assert_close(window_logits(low, rows, cols), window_logits(low.float(), rows, cols))
    assert (window_labels(low, rows, cols) == window_labels(low.float(), rows, cols)).all()


def test_tiles_do_not_matter(monkeypatch):
    import importlib
    module = importlib.import_module('mmseg_vittm.inference.windows.labels')
    arguments = example(7, 90, 140)
    whole = module.window_labels(*arguments)
    for rows, logits in itertools.product((1, 5, 1000), (1, 10**9)):
        monkeypatch.setattr(module, 'TILE_ROWS', rows)
        monkeypatch.setitem(module.TILE, 'cpu', logits)
        assert (module.window_labels(*arguments) == whole).all()


def test_ties_go_to_the_first_class_and_nan_wins():
    rows = cols = torch.eye(3)
    low = torch.zeros(4, 3, 3)
    assert (window_labels(low, rows, cols) == 0).all()
    low[2, 1, 1] = float('nan')
    one = torch.ones(1, 1)
    assert window_labels(low[:, 1:2, 1:2], one, one) == 2


KERNEL = """
import sys, torch
sys.path.insert(0, {tests!r})
from windows_example import example
from mmseg_vittm.inference.windows import resampling_matrix, window_logits, window_starts
from mmseg_vittm.inference.windows.labels_triton import axis_taps, window_labels
for classes, height, width, dtype in ((5, 9, 140, torch.float32), (1, 1, 1, torch.float32), (3, 20, 7, torch.float16),
                                      (3, 6, 129, torch.bfloat16)):
    low, rows, cols = example(classes, height, width, dtype)
    labels, logits = window_labels(low, rows, cols), window_logits(low, rows, cols)
    assert labels.shape == (height, width) and labels.dtype == torch.int64
    top = torch.cat([logits, torch.full_like(logits[:1], -1e9)]).topk(2, dim=0).values
    wrong = labels != logits.argmax(0)
    assert not (wrong & (top[0] - top[1] > 1e-5)).any(), (classes, height, width, dtype)
one = torch.ones(1, 1)
low = torch.tensor([1.0, float('nan'), 7.0, float('nan')]).view(4, 1, 1)
assert window_labels(low, one, one) == 1 == window_logits(low, one, one).argmax(0)
assert window_labels(torch.full((3, 1, 1), -float('inf')), one, one) == 0
print('checked')
"""


def test_the_kernel_interpreted(run_python, monkeypatch):
    """Triton's interpreter runs the kernel's code on a CPU."""
    pytest.importorskip('triton', reason='the kernel is written in it')
    monkeypatch.setenv('TRITON_INTERPRET', '1')
    done = run_python(KERNEL.format(tests=str(Path(__file__).parents[2])))
    assert done.returncode == 0 and done.stdout.strip() == 'checked', done.stderr[-3000:]


def test_taps_are_the_numbers_of_the_matrix():
    taps = pytest.importorskip('mmseg_vittm.inference.windows.labels_triton', reason='needs Triton').axis_taps
    matrix = resampling_matrix(5, 64, (0, 30, 60), 124, 200)
    cells, weights = taps(matrix)
    assert cells.shape == weights.shape == (200, 8) and taps(matrix)[0] is cells  # up to 6 of 15 cells, kept
    assert torch.equal(torch.zeros_like(matrix).scatter_add_(1, cells.long(), weights), matrix)
    single = torch.eye(4)[:, :3]  # the last pixel uses no cell
    cells, weights = taps(single)
    assert torch.equal(torch.zeros_like(single).scatter_add_(1, cells.long(), weights), single)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_labels_on_a_gpu(dtype):
    """By tiles and by the kernel."""
    low, rows, cols = (tensor.cuda() for tensor in example(150, 512, 683, dtype))
    expected = window_logits(low, rows, cols).argmax(0)
    assert count_wrong(window_labels(low, rows, cols), expected, low, rows, cols) == 0
    kernel = pytest.importorskip('mmseg_vittm.inference.windows.labels_triton', reason='needs Triton').window_labels
    assert count_wrong(kernel(low, rows, cols), expected, low, rows, cols) == 0
