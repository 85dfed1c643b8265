"""The trial of a config's data and metrics: dataloaders without files, metrics without folders."""
import copy

import mmengine.registry
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset, InfiniteSampler
from mmengine.evaluator import BaseMetric
from mmengine.runner import Runner
from mmseg.evaluation import IoUMetric
from torch import nn

from ...classification.classifier import ImageClassifier
from ...classification.config_checks import is_classifier, is_image_set
from ...classification.trial_batch import try_batch
from ...datasets.checked_dataset import check_skip_options
from ...datasets.listing import SKIP_OPTIONS, datasets_of
from ...errors import InputError
from ...evaluation import VideoMetric
from ..configs.classes import accepts, find_class, has_own, registry_of
from ..configs.sections import items_of
from .parts import named, try_each

PLAIN_SAMPLERS = ('mmengine', 'mmseg_vittm')  # whose samplers ask a data set for nothing but its length


def try_data(cfg: Config, section: str, model: nn.Module | None) -> None:
    """Builds the datasets of a dataloader without reading files, their pipelines, and the rest of the dataloader.

    A classifier is given what comes out of them.
    """
    loader, training = copy.deepcopy(cfg[section]), section.startswith('train')
    if not isinstance(loader, dict):  # of a loop of one's own
        return
    if not isinstance(loader.get('dataset'), dict):
        raise InputError(f'{cfg.filename}: {section} has no dataset; give it one')
    # What a wrapper of one's own makes of the datasets in it is its own affair.
    for dataset in () if has_own(loader.dataset, without='pipeline') else datasets_of(loader.dataset):
        try_each(cfg, f'{section}.dataset.pipeline', mmengine.registry.TRANSFORMS, dataset.get('pipeline') or [])
        own = {name: value for name, value in items_of(dataset) if name not in SKIP_OPTIONS}
        options = {name: dataset[name] for name in SKIP_OPTIONS if name in dataset}
        if options:
            check_skip_options(**options)
        own.update(pipeline=[], lazy_init=True)
        target = find_class(registry_of('DATASETS', cfg.get('default_scope') or 'mmseg'), own.get('type'))
        if isinstance(target, type) and issubclass(target, BaseDataset):
            with named(cfg, f'{section}.dataset'):
                mmengine.registry.DATASETS.build(ConfigDict(own))
    loader['dataset'] = _Samples()
    for name, registry in (('sampler', 'DATA_SAMPLERS'), ('batch_sampler', 'DATA_SAMPLERS'),
                           ('collate_fn', 'FUNCTIONS'), ('worker_init_fn', 'FUNCTIONS')):
        one = loader.get(name)
        one = one.get('type') if isinstance(one, dict) else one
        target = None if one is None else find_class(registry_of(registry, cfg.get('default_scope') or 'mmseg'), one)
        if target is not None and target.__module__.split('.')[0] not in PLAIN_SAMPLERS:
            return
    with named(cfg, section):
        built = Runner.build_dataloader(loader, seed=0)
    if not training and isinstance(built.sampler, InfiniteSampler):
        raise InputError(f'{cfg.filename}: {section}.sampler never ends, which is for training; give DefaultSampler')
    dataset = cfg[section].dataset
    if isinstance(model, ImageClassifier) and is_image_set(dataset) and not has_own(dataset):
        if training and isinstance(cfg[section].get('batch_size'), int):
            model.check_batch(cfg[section].batch_size)
        with named(cfg, section):
            try_batch(model, dataset.get('pipeline') or [], built.collate_fn, training)


class _Samples(BaseDataset):
    """Stands for a data set that nobody has read."""

    def __init__(self):
        super().__init__(lazy_init=True)
        self.data_list, self._fully_initialized, self.serialize_data = [{}] * 16, True, False

    def __len__(self) -> int:
        return len(self.data_list)


def try_evaluator(cfg: Config, section: str) -> None:
    """Builds those metrics of an evaluator that own no folder, as MMSegmentation's `CityscapesMetric` does."""
    settings = cfg[section]
    if isinstance(settings, dict) and 'metrics' in settings:
        settings = [] if settings.get('type', 'Evaluator') != 'Evaluator' else settings['metrics']
    for one in settings if isinstance(settings, (list, tuple)) else [settings]:
        if not isinstance(one, dict) or has_own(one):
            continue
        own = ConfigDict(copy.deepcopy(one))
        target = find_class(registry_of('METRICS', cfg.get('default_scope') or 'mmseg'), own.get('type'))
        if is_classifier(cfg) and target.__module__.startswith('mmseg.'):
            raise InputError(f'{cfg.filename}: {section}: {target.__name__} scores segmentations, and the model is a '
                             'classifier; give TopAccuracy')
        if target in (IoUMetric, VideoMetric):
            own.output_dir = None
        elif 'output_dir' in accepts(target).names or hasattr(target, '__del__') or target.__module__.split('.')[
                0] not in ('mmengine', 'mmseg'):
            continue
        with named(cfg, section):
            _try_metric(mmengine.registry.METRICS.build(own))


def _try_metric(metric: BaseMetric) -> None:
    if not isinstance(metric, IoUMetric):
        return
    areas = [torch.ones(2)] * 4
    metric.total_area_to_metrics(*areas, metric.metrics, metric.nan_to_num, metric.beta)
