"""Every image and annotation of a config's datasets looked at: what `tools/check_dataset.py` reports."""
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DefaultScope
from mmseg.registry import TRANSFORMS

from ..errors import DataError, InputError, one_line
from .checked_transforms import use_checked_transforms
from .crash_proof import Died, run_in_processes
from .image_files import AGAIN
from .listing import check_folders, datasets_of, list_samples, stray_annotations
from .video.masks import read_mask

ALL = 'all'


class Fault(NamedTuple):
    """A file, what is wrong with it, and what to do."""
    file: str
    problem: str
    remedy: str

    @classmethod
    def of(cls, error: InputError, file: str = '') -> 'Fault':
        """Returns an error's fault; `file` is for errors that name none."""
        if isinstance(error, DataError) and error.problem:
            return cls(error.file, error.problem, error.remedy)
        return cls(file, str(error), '')


@dataclass
class Sample:
    """An image with its annotation, as the datasets of some splits have it."""
    info: dict
    steps: Sequence[Callable]  # transforms that load it
    classes: Sequence[int]  # what its labels are among all classes
    splits: list[str]


@dataclass
class Findings:
    """What a look at all files has shown.

    Attributes:
        faults: What is wrong.
        classes: Names of the classes, of all datasets.
        pixels: Pixels of each class, by split; under `ALL` of all files.
        images: Images that contain each class, likewise.
        ignored: Pixels that are ignored, over all files.
        files: Number of image and annotation files, and masks of videos, looked at.
    """
    faults: list[Fault] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    pixels: dict[str, np.ndarray] = field(default_factory=dict)
    images: dict[str, np.ndarray] = field(default_factory=dict)
    ignored: int = 0
    files: int = 0


def _loading_steps(node: Any) -> Iterator[dict]:
    """Yields the transforms in a pipeline's config that load something, inside others too, in their order."""
    if isinstance(node, dict):
        kind = node.get('type')
        if (kind if isinstance(kind, str) else getattr(kind, '__name__', '')).split('.')[-1].startswith('Load'):
            yield node
        else:
            for value in node.values():
                yield from _loading_steps(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _loading_steps(value)


@contextmanager
def decoder_says() -> Iterator[list[str]]:
    """Gathers what C libraries write on stderr meanwhile: libjpeg's only word on damage within a file."""
    said: list[str] = []
    with tempfile.TemporaryFile() as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            said.extend(file.read().decode(errors='replace').splitlines())


def check_said(said: Sequence[str], name: str) -> None:
    """Checks that what `decoder_says` gathered is no word on damage.

    Raises:
        DataError: It is.
    """
    corrupt = [line for line in said
               if 'Corrupt JPEG data' in line and 'extraneous bytes before marker 0xd9' not in line]
    if corrupt:
        raise DataError(name, f'damaged: the decoder says {corrupt[0]!r}', AGAIN)


def look_at(sample: Sample) -> tuple[list[Fault], np.ndarray | None]:
    """Loads a sample as training and testing do.

    Returns:
        What is wrong with it, and the pixels of each label (256,), where it has a good annotation.
    """
    results, faults = dict(sample.info), []
    results['seg_fields'] = []
    name = str(results.get('img_path'))
    for step in (*sample.steps, _look_at_region):
        try:
            with decoder_says() as said:
                step(results)
            check_said(said, name)
        except DataError as error:
            faults.append(Fault.of(error, name))
        except (Exception, SystemExit) as error:  # of any transform: it must not end the look at all other files
            faults.append(Fault(name, f'cannot be loaded ({one_line(error)})', 'correct the image or its annotation'))
    label = None if results.get('is_labelled') is False else results.get('gt_seg_map')
    return faults, None if label is None else np.bincount(label.ravel(), minlength=256)[:256]


def _look_at_region(results: dict) -> None:
    if results.get('region_path') and 'ori_shape' in results:
        read_mask(results['region_path'], results['ori_shape'])


def _look_at_number(samples: Sequence[Sample], number: int) -> tuple[list[Fault], np.ndarray | None]:
    cv2.setNumThreads(0)  # there is a process per core already
    return look_at(samples[number])


def list_all(cfg: Config, dataloaders: Sequence[str], num_classes: int | None, findings: Findings) -> list[Sample]:
    """Lists the samples of all datasets, those that several have once; notes what is wrong with the folders.

    Args:
        cfg: The config.
        dataloaders: Names of its dataloaders.
        num_classes: Classes of the model, for datasets that do not know theirs.
        findings: Gets the classes, and faults of folders.

    Raises:
        InputError: A pipeline does not suit its dataset.
    """
    samples: dict[tuple, Sample] = {}
    strays: set[str] = set()
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmseg'):
        for split, pipeline, dataset, listed in _list_datasets(cfg, dataloaders, findings):
            classes = list(dataset.metainfo.get('classes') or map(str, range(num_classes or 0)))
            findings.classes += [name for name in classes if name not in findings.classes]
            places = [findings.classes.index(name) for name in classes]
            steps = _build_steps(pipeline, dataset, len(classes) or None)
            for info in listed:
                key = (info.get('img_path'), info.get('seg_map_path'), info.get('reduce_zero_label'),
                       str(info.get('label_map')), tuple(map(repr, steps)))
                sample = samples.setdefault(key, Sample(info, steps, places, []))
                if split not in sample.splits:
                    sample.splits.append(split)
            strays.update(stray_annotations(dataset, listed))
    known = {os.path.normpath(str(sample.info.get('seg_map_path'))) for sample in samples.values()}
    findings.faults += [Fault(path, 'an annotation without image', 'add the image, or remove the annotation')
                        for path in sorted(strays - known)]
    return list(samples.values())


def _list_datasets(cfg: Config, dataloaders: Sequence[str],
                   findings: Findings) -> Iterator[tuple[str, Sequence, BaseDataset, list[dict]]]:
    """Yields split, pipeline, dataset and samples of each dataset; what cannot be listed is a fault, once."""
    failed: list[dict] = []
    for dataloader in dataloaders:
        for dataset in datasets_of(cfg.get(dataloader) or {}):
            try:
                check_folders(dataset, dataloader)
                built, listed = list_samples(dataset)
            except InputError as error:
                files = {key: value for key, value in dataset.items() if key != 'pipeline'}
                if files not in failed:  # validation and test are often the same
                    failed.append(files)
                    findings.faults.append(Fault.of(error, str(dataset.get('data_root') or '')))
                continue
            yield dataloader.removesuffix('_dataloader'), dataset.get('pipeline') or [], built, listed


def _build_steps(pipeline: Sequence, dataset: BaseDataset, num_classes: int | None) -> list[Callable]:
    steps = [TRANSFORMS.build(step) for step in _loading_steps(pipeline)]
    if not steps:
        steps = [TRANSFORMS.build(dict(type=kind)) for kind in ('LoadImageFromFile', 'LoadAnnotations')]
    return use_checked_transforms(steps, dataset, num_classes)


def survey(cfg: Config, dataloaders: Sequence[str], num_classes: int | None, workers: int,
           progress: Callable[[int, int, str], None]) -> Findings:
    """Looks at every image and annotation of a config's datasets.

    Args:
        cfg: The config.
        dataloaders: Names of its dataloaders.
        num_classes: Classes of the model, for datasets that do not know theirs.
        workers: Number of processes.
        progress: Is called after every sample with the number done, that of all, and what goes on.
    """
    findings = Findings()
    samples = list_all(cfg, dataloaders, num_classes, findings)
    for split in (ALL, *(name.removesuffix('_dataloader') for name in dataloaders)):
        findings.pixels[split] = np.zeros(len(findings.classes), np.int64)
        findings.images[split] = np.zeros(len(findings.classes), np.int64)
    bad: dict[int, list[Fault]] = {}
    task = partial(_look_at_number, samples)
    for done, (number, result) in enumerate(run_in_processes(task, len(samples), workers), 1):
        sample = samples[number]
        findings.files += 1 + sum(bool(sample.info.get(key)) for key in ('seg_map_path', 'region_path'))
        if isinstance(result, Died):
            result = [Fault(str(sample.info.get('img_path')), f'loading it, or its annotation, ends the process '
                            f'({result.reason})', AGAIN)], None
        faults, counts = result
        if faults:
            bad[number] = faults
        if counts is not None:
            findings.ignored += int(counts[255])
            counts = counts[:len(sample.classes)]
            for split in (ALL, *sample.splits):
                np.add.at(findings.pixels[split], sample.classes, counts)
                np.add.at(findings.images[split], sample.classes, counts > 0)
        progress(done, len(samples), 'checking')
    findings.faults += [fault for number in sorted(bad) for fault in bad[number]]
    return findings
