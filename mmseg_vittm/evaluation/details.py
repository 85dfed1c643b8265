"""Details of an evaluation: what is kept of each image, and the scores of a data set that follow from it."""
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .boundary import BoundaryCounts
from .calibration import Reliability, calibration_error
from .confusion import ClassScores, Confusion, Pairs, class_scores, confusion_matrix, divide, mean, most_confused


@dataclass(frozen=True, eq=False)
class ImageDetails:
    """What is kept of an image: numbers of the classes in it, some kilobytes.

    Attributes:
        name: The path of the image.
        pairs: Its labelled pixels, by what they are and what they were taken for.
        boundaries: Its pixels near boundaries.
        reliability: Its pixels by confidence; None where the segmentor does not say any.
    """
    name: str
    pairs: Pairs
    boundaries: BoundaryCounts
    reliability: Reliability | None


@dataclass(frozen=True, eq=False)
class ImageScore:
    """How an image was segmented.

    Attributes:
        name: The path of the image.
        miou: Mean IoU over the classes that its truth or prediction has, 0 to 1; NaN without a labelled pixel.
        pixels: Labelled pixels.
        confused: Its pairs of confused classes, the most pixels first.
        missed: Classes of which no pixel was found, the largest first.
    """
    name: str
    miou: float
    pixels: int
    confused: list[Confusion]
    missed: list[int]

    @property
    def rank(self) -> tuple[float, str]:
        """By what images are sorted: the worst comes first."""
        return self.miou, self.name


@dataclass(frozen=True, eq=False)
class Details:
    """All that was counted on a data set.

    Attributes:
        classes: Names of the classes.
        images: What was kept of each image.
    """
    classes: tuple[str, ...]
    images: Sequence[ImageDetails] = field(repr=False)

    @cached_property
    def matrix(self) -> np.ndarray:
        """Pixels, a row per true class, a column per prediction, (classes, classes)."""
        return confusion_matrix([image.pairs for image in self.images], len(self.classes))

    @cached_property
    def near(self) -> np.ndarray:
        """Pixels of every class's boundary bands: those in truth and prediction, and in either, (2, classes)."""
        counts = np.zeros((2, len(self.classes)), np.int64)
        for image in self.images:
            counts[0, image.boundaries.classes] += image.boundaries.intersections
            counts[1, image.boundaries.classes] += image.boundaries.unions
        return counts

    @cached_property
    def reliability(self) -> Reliability | None:
        """Pixels by confidence; None where an image has none."""
        parts = [image.reliability for image in self.images]
        if not parts or None in parts:
            return None
        return Reliability(*(np.sum(counts, axis=0) for counts in zip(*parts, strict=True)))

    @cached_property
    def by_class(self) -> ClassScores:
        """Scores of every class."""
        return class_scores(self.matrix)

    @cached_property
    def boundary_iou(self) -> np.ndarray:
        """Boundary IoU of every class, 0 to 1, (classes); NaN where neither truth nor prediction has it."""
        return divide(*self.near)

    @cached_property
    def images_with(self) -> np.ndarray:
        """In how many images the truth has each class, (classes)."""
        found = np.zeros(len(self.classes), np.int64)
        for image in self.images:
            found[np.unique(image.pairs.places // len(self.classes))] += 1
        return found

    def scores(self) -> dict[str, float]:
        """Returns the scores of the data set, 0 to 1.

        `aAcc`, the share of right pixels; `mIoU`, `mAcc` and `mBIoU`, means over classes of IoU, recall and Boundary
        IoU, of those that have one; `ECE`, where the segmentor says how sure it is.
        """
        found = dict(aAcc=float(divide(np.trace(self.matrix), self.matrix.sum())), mIoU=mean(self.by_class.iou),
                     mAcc=mean(self.by_class.recall), mBIoU=mean(self.boundary_iou))
        if self.reliability is not None:
            found['ECE'] = calibration_error(self.reliability)
        return found


def score_image(image: ImageDetails, classes: int, pairs: int = 3) -> ImageScore:
    """Returns how an image was segmented.

    Args:
        image: What was kept of it.
        classes: Number of classes.
        pairs: How many pairs of confused classes to name at most.
    """
    matrix = confusion_matrix([image.pairs], classes)
    true = matrix.sum(1)
    missed = np.flatnonzero((true > 0) & (np.diag(matrix) == 0))
    return ImageScore(image.name, mean(class_scores(matrix).iou), int(true.sum()), most_confused(matrix, pairs),
                      [int(one) for one in missed[np.argsort(-true[missed], kind='stable')]])
