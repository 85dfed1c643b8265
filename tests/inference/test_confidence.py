"""How probable a label is: of windows without logits in the image's size, and of every segmentor."""
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from windows_example import example

from mmseg_vittm.inference.prediction import ROWS, confidence_of
from mmseg_vittm.inference.windows import tiled_confidence, window_labels, window_logits


def test_of_windows():
    low, rows, cols = example(7, 90, 150)
    labels, confidence = tiled_confidence(low, rows, cols)
    expected = window_logits(low, rows, cols).double().softmax(0).amax(0)
    torch.testing.assert_close(confidence, expected.float(), atol=1e-5, rtol=1e-5)
    assert torch.equal(labels, window_labels(low, rows, cols))


def sample(**data: torch.Tensor) -> SegDataSample:
    found = SegDataSample()
    found.set_data({name: PixelData(data=value) for name, value in data.items()})
    return found


@pytest.mark.parametrize('height', [1, ROWS, 2 * ROWS + 3])
def test_of_logits(height):
    logits = torch.randn(5, height, 7, generator=torch.Generator().manual_seed(0)) * 4
    torch.testing.assert_close(confidence_of(sample(seg_logits=logits)), logits.softmax(0).amax(0))


def test_of_one_channel():
    """A head of one channel gives probabilities, of the class; a threshold of its own may choose the less probable."""
    likely, chosen = torch.tensor([[[0.9, 0.4, 0.1]]]), torch.tensor([[[1, 1, 0]]])
    torch.testing.assert_close(confidence_of(sample(seg_logits=likely, pred_sem_seg=chosen)),
                               torch.tensor([[0.9, 0.4, 0.9]]))
