"""Training: the Runner, its hooks, checked data, resuming, atomic files. Importing this registers them."""
from ..stack import MMLogger  # noqa: F401  (one sentence where MMSegmentation is missing)
from .amp import CpuAmpOptimWrapper
from .hooks.checkpoint_hook import AtomicCheckpointHook
from .hooks.data_position_hook import DataPositionHook
from .hooks.fast_inference_hook import FastInferenceHook
from .hooks.finite_loss_hook import FiniteLossHook
from .hooks.label_hook import LabelHook
from .hooks.last_validation_hook import LastValidationHook
from .hooks.left_out_hook import LeftOutHook
from .hooks.mean_loss_hook import MeanLossHook
from .hooks.picture_hook import PictureHook
from .hooks.plain_weights_hook import PlainWeightsHook
from .hooks.random_state_hook import RandomStateHook
from .hooks.same_classes_hook import SameClassesHook
from .hooks.warm_start_hook import WarmStartHook
from .runner import StrictRunner
from .weighted_loss import WeightedCrossEntropyLoss
from .work_dir.atomic_files import AtomicBackend

__all__ = [
    'AtomicBackend', 'AtomicCheckpointHook', 'CpuAmpOptimWrapper', 'DataPositionHook', 'FastInferenceHook',
    'FiniteLossHook', 'LabelHook', 'LastValidationHook', 'LeftOutHook', 'MeanLossHook', 'PictureHook',
    'PlainWeightsHook', 'RandomStateHook', 'SameClassesHook', 'StrictRunner', 'WarmStartHook',
    'WeightedCrossEntropyLoss'
]
