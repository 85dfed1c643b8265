"""A config's test pipeline without annotations: what prepares an image that has no labels, or whose labels can wait."""
import copy
from collections.abc import Iterable

from mmcv.transforms import BaseTransform, LoadAnnotations
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmseg.registry import TRANSFORMS

from ..errors import InputError


def build_test_pipeline(steps: Iterable[dict], scope: str | None = None) -> tuple[BaseTransform, Compose]:
    """Builds a test pipeline's first step, which reads an image, and the rest; no step that loads annotations.

    Args:
        steps: The pipeline, as configs have it; it is not changed.
        scope: The registry's scope, a config's `default_scope`; None is MMSegmentation's.

    Returns:
        The first step, `LoadImageFromFile` in most configs, and the others in one. Who has the image as an array
        runs the others alone, on `dict(img=..., img_path=..., img_shape=..., ori_shape=...)`.

    Raises:
        InputError: The pipeline has no step but for annotations.
    """
    with DefaultScope.overwrite_default_scope(scope or 'mmseg'):
        built = [TRANSFORMS.build(step) for step in copy.deepcopy(list(steps)) if not _loads_annotations(step['type'])]
        if not built:
            raise InputError('the test pipeline has no step that reads an image; let it begin with '
                             "dict(type='LoadImageFromFile')")
        return built[0], Compose(built[1:])


def _loads_annotations(kind: str | type) -> bool:
    transform = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    return isinstance(transform, type) and issubclass(transform, LoadAnnotations)
