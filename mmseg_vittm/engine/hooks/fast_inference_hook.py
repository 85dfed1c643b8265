"""FastInferenceHook: a test run through the fast path."""
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmseg.models import SegTTAModel

from ...classification.classifier import ImageClassifier
from ...inference.fast import optimize_if_possible


@HOOKS.register_module()
class FastInferenceHook(Hook):
    """Optimizes the model once its weights are there, before it is tested; see `mmseg_vittm.optimize`.

    A model that cannot be optimized is tested as it is, unless another dtype or compilation was asked for.

    Args:
        dtype: `'fp32' | 'tf32' | 'bf16' | 'fp16'`.
        compile: Whether to compile it.
    """

    def __init__(self, dtype: str = 'fp32', compile: bool = False):
        self.dtype, self.compile = dtype, compile

    def before_test(self, runner: Runner) -> None:
        """Optimizes the segmentor, in a wrapper for several processes or for test-time augmentation too.

        A classifier predicts in the dtype.
        """
        model = runner.model
        while is_model_wrapper(model) or isinstance(model, SegTTAModel):
            model = model.module
        if isinstance(model, ImageClassifier):
            model.predict_in(self.dtype)
            return
        optimize_if_possible(model, self.dtype, self.compile)
