"""What the sections of a config are: which registry builds them, which keys they have, and who reads them."""
import inspect
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.runner import Runner
from mmengine.runner.utils import set_random_seed  # noqa: F401  (where Runner.set_randomness ends)
from mmengine.utils.dl_utils import set_multi_processing

from ...engine.distillation.options import FeatureOptions, LogitOptions, TeacherOptions


@dataclass(frozen=True)
class Built:
    """A dict with a `type`, or a list of them, that a registry builds.

    Attributes:
        registry: The registry's name in mmengine.
        default: Its `type` where it gives none; None where it must.
        more: Keys that whoever builds it takes for itself.
        given: Arguments that whoever builds it adds.
    """
    registry: str
    default: str | None = None
    more: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Keys:
    """A dict without a `type`.

    Attributes:
        names: Its keys, each with what it holds: a `Built`, `Keys`, or None for a plain value.
        any: What any other key holds; False where there is none.
    """
    names: dict[str, Any] = field(default_factory=dict)
    any: Any = False


def _plain(*names: str, **more: Any) -> Keys:
    return Keys(dict.fromkeys(names) | more)


def _arguments(function: Any, *without: str) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ('self', *without)]


def _fields(options: type) -> list[str]:
    return [field.name for field in fields(options)]


MODEL, TRANSFORM, DATASET = Built('MODELS'), Built('TRANSFORMS'), Built('DATASETS', more=frozenset(
    ('bad_data', 'max_skipped')))
HOOK = Built('HOOKS', more=frozenset(['priority']))
SAMPLER = Built('DATA_SAMPLERS', given=frozenset(('dataset', 'seed', 'sampler', 'batch_size')))
FUNCTION = Built('FUNCTIONS', given=frozenset(('data_batch', 'worker_id', 'num_workers', 'rank', 'seed')))
LOADER = Keys(dict.fromkeys(_arguments(torch.utils.data.DataLoader)) | dict(
    dataset=DATASET, sampler=SAMPLER, batch_sampler=SAMPLER, collate_fn=FUNCTION, worker_init_fn=FUNCTION,
    num_batch_per_epoch=None, disable_subprocess_warning=None))
LOOP_GIVEN = frozenset(('runner', 'dataloader', 'evaluator'))
EVALUATOR = Built('METRICS')
RUNNER_ARGUMENTS = [name for name in _arguments(Runner.__init__, 'cfg')]

# What the Runner, MMSegmentation or our tools read of a config.
SECTIONS: dict[str, Any] = dict.fromkeys(RUNNER_ARGUMENTS) | dict.fromkeys((
    'activation_checkpointing', 'compile', 'detect_anomalous_params', 'efficient_conv_bn_eval',
    'find_unused_parameters', 'runner_type', 'sync_bn', 'strategy', 'total_batch_size')) | dict(
    model=MODEL,
    data_preprocessor=MODEL,
    tta_model=Built('MODELS', given=frozenset(['module'])),
    test_pipeline=TRANSFORM,
    tta_pipeline=TRANSFORM,
    train_dataloader=LOADER, val_dataloader=LOADER, test_dataloader=LOADER,
    train_cfg=Built('LOOPS', given=LOOP_GIVEN),
    val_cfg=Built('LOOPS', 'ValLoop', given=LOOP_GIVEN),
    test_cfg=Built('LOOPS', 'TestLoop', given=LOOP_GIVEN),
    optim_wrapper=Built('OPTIM_WRAPPERS', 'OptimWrapper', frozenset(('constructor', 'paramwise_cfg'))),
    param_scheduler=Built('PARAM_SCHEDULERS', more=frozenset(('convert_to_iter_based', 'epoch_length')),
                          given=frozenset(['optimizer'])),
    val_evaluator=EVALUATOR, test_evaluator=EVALUATOR,
    default_hooks=Keys(dict.fromkeys(('timer', 'logger', 'param_scheduler', 'checkpoint', 'sampler_seed',
                                      'runtime_info', 'visualization'), HOOK), any=HOOK),
    custom_hooks=HOOK,
    visualizer=Built('VISUALIZERS', more=frozenset(['name'])),
    log_processor=Built('LOG_PROCESSORS', 'LogProcessor'),
    env_cfg=_plain('cudnn_benchmark', 'resource_limit',
                   mp_cfg=_plain(*_arguments(set_multi_processing, 'distributed')),
                   dist_cfg=Keys(dict.fromkeys(('backend', 'init_backend', 'timeout', 'port', 'init_method')),
                                 any=None)),
    randomness=_plain(*_arguments(Runner.set_randomness)),
    auto_scale_lr=_plain('enable', 'base_batch_size'),
    distillation=_plain('ignore_void', teacher=_plain(*_fields(TeacherOptions)), logits=_plain(*_fields(LogitOptions)),
                        features=_plain(*_fields(FeatureOptions))),
    custom_imports=_plain('imports', 'allow_failed_imports'),
    model_wrapper_cfg=Built('MODEL_WRAPPERS', 'MMDistributedDataParallel', given=frozenset(['module', 'device_ids'])),
)

# What the arguments of built things hold, by the registry that builds the thing, where they are built in turn.
PARTS: dict[str, dict[str, Any]] = dict(
    MODELS=dict.fromkeys(('backbone', 'neck', 'decode_head', 'auxiliary_head', 'data_preprocessor', 'segmentor',
                          'module', 'image_encoder', 'text_encoder', 'loss_decode'), MODEL) | dict(
        init_cfg=Built('WEIGHT_INITIALIZERS', more=frozenset(['override', 'layer']))),
    DATASETS=dict(dataset=DATASET, datasets=DATASET, pipeline=TRANSFORM),
    TRANSFORMS=dict(transforms=TRANSFORM, transform=TRANSFORM),
    OPTIM_WRAPPERS=dict(optimizer=Built('OPTIMIZERS', given=frozenset(['params']))),
    VISUALIZERS=dict(vis_backends=Built('VISBACKENDS', given=frozenset(['save_dir']))),
    EVALUATOR=dict(metrics=Built('METRICS')),
)


def kind_of(kind: Any, node: Any) -> Any:
    """Returns what a section is where that depends on what is in it: evaluators, and training loops without `type`."""
    if kind is EVALUATOR and isinstance(node, dict) and 'metrics' in node:
        return Built('EVALUATOR', 'Evaluator')
    if kind is SECTIONS['train_cfg'] and isinstance(node, dict) and 'type' not in node and 'by_epoch' in node:
        loop = 'EpochBasedTrainLoop' if node['by_epoch'] else 'IterBasedTrainLoop'
        return Built('LOOPS', loop, frozenset(['by_epoch']), LOOP_GIVEN)
    return kind


def part_of(kind: Any, name: str) -> Any:
    """Returns what a key of a section holds: a `Built`, `Keys`, None for a plain value, False where it has no such."""
    if isinstance(kind, Built):
        return PARTS.get(kind.registry, {}).get(name)
    if isinstance(kind, Keys):
        return kind.names.get(name, kind.any)
    return None


def items_of(node: dict) -> list[tuple[str, Any]]:
    """Returns the items of a config's dict; a lazy one's are imported."""
    return list(ConfigDict.items(node) if isinstance(node, ConfigDict) else node.items())
