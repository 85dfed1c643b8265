"""How steady the labels of a video are: counts that grow frame by frame, in memory of two frames per video."""
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor


class VideoConsistency:
    """Counts mVC and flips over the labelled frames of one video, one after the other.

    It keeps the last frame's truth and prediction and, per pixel, how long the truth has been the same and how long the
    prediction has been right, so that windows of n frames need no n frames in memory.

    Args:
        windows: Numbers n of labelled frames in a window of mVC_n.
        ignore_index: Label of void pixels, which count nowhere.
    """

    def __init__(self, windows: Sequence[int], ignore_index: int):
        self.windows, self.ignore_index = tuple(windows), ignore_index
        self._truth = self._prediction = self._same = self._right = None
        self._frames = 0

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the frames; None before the first."""
        return None if self._truth is None else tuple(self._truth.shape)

    def add(self, prediction: Tensor, truth: Tensor) -> dict:
        """Adds a frame.

        Args:
            prediction: Labels, (H, W).
            truth: Labels, (H, W).

        Returns:
            What the frame adds: `steady`, by n, the share of right pixels in the window that ends here, from 0 to 1,
            where there is such a window and the truth of any pixel is the same in all its frames; `flipped`, the pixels
            whose prediction differs from the last frame's while the truth does not, and `unmoved`, all pixels whose
            truth does not.
        """
        prediction, truth = prediction.short(), truth.short()  # a quarter of the memory
        valid, most = truth != self.ignore_index, max(self.windows, default=1)
        if self._truth is None:
            unmoved = torch.zeros_like(valid)
            self._same = self._right = torch.zeros(truth.shape, dtype=torch.int16, device=truth.device)
        else:
            unmoved = valid & (truth == self._truth)
        # Runs of frames that end here; longer ones than the widest window need not be told apart.
        self._same = torch.where(unmoved, self._same + 1, valid.short()).clamp(max=most)
        self._right = ((self._right + 1) * (prediction == truth)).clamp(max=most)
        flipped = 0
        if self._truth is not None:
            flipped = int((unmoved & (prediction != self._prediction)).sum())
        self._frames += 1
        self._truth, self._prediction = truth, prediction
        return dict(steady=dict(self._shares()), flipped=flipped, unmoved=int(unmoved.sum()))

    def _shares(self) -> Iterator[tuple[int, float]]:
        """Yields windows that end here, and their shares; void pixels are in none, since their truth never stays."""
        for window in self.windows:
            same = self._same >= window
            count = int(same.sum()) if self._frames >= window else 0
            if count:
                yield window, int((same & (self._right >= window)).sum()) / count
