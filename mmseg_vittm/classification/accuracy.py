"""TopAccuracy: top-1 and top-5 of every head of a classifier."""
from collections.abc import Sequence

from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from .classifier import RANKS, TOP, TRUTH


@METRICS.register_module()
class TopAccuracy(BaseMetric):
    """The share of images, in percent, whose class is among the likeliest k of a head; each image counts once.

    A head's scores are `HEAD_top1` and `HEAD_top5`, such as `memory_top1`; of a model with one head `top1`, `top5`.

    Args:
        prefix: What goes before the names of the scores, with a slash.
    """

    default_prefix = ''  # none

    def __init__(self, prefix: str | None = None):
        super().__init__(prefix=prefix)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Takes predictions of `ImageClassifier`."""
        for sample in data_samples:
            self.results.append({head: _place(likeliest, sample[TRUTH])
                                 for head, likeliest in sample[RANKS].items()})

    def compute_metrics(self, results: list[dict[str, int]]) -> dict[str, float]:
        """Returns the scores, in percent, of the places that the true classes took, by head."""
        scores = {}
        for head in results[0]:
            for k in (1, TOP):
                share = sum(places[head] < k for places in results) / len(results)
                scores[f'{head}_top{k}'.removeprefix('_')] = round(100 * share, 4)
        return scores


def _place(likeliest: list[int], truth: int) -> int:
    return likeliest.index(truth) if truth in likeliest else TOP
