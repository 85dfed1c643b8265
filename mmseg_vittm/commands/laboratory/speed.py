"""The speed of all models of a data set, measured in one interleaved run, and what they cost."""
import contextlib
import copy
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from rich.console import Console

from ...engine.state.saved_settings import plain
from ...errors import InputError
from ...measure.benchmark.building import Built, Settings, build_for_measuring
from ...measure.benchmark.images import Images, find_test_dataset
from ...measure.benchmark.report import record
from ...measure.benchmark.subject import COUNTED, Subject
from ...measure.benchmark.turns import run_in_turns
from ...measure.complexity.counting import varies_with_image
from ...measure.conditions import cpu_flags, device_name, resolve_device
from ...measure.records import is_unlike_use
from ...outputs import write_whole
from ...stack import MMLogger
from ..progress import Reporter
from .laboratory import Laboratory
from .plan import Run
from .scoring import ways

SPEED = 'speed.json'  # in a data set's folder
FAST_BF16 = ('avx512_bf16', 'amx_bf16')  # without one of them a CPU computes bfloat16 slowly


def model_key(cfg: Config) -> str:
    """Returns what tells models apart as far as speed goes: how images come to them counts, weights do not.

    Raises:
        InputError: The config has no test pipeline, through which images come.
    """
    settings = [_without_weights(plain(cfg.model)), plain(find_test_dataset(cfg).pipeline)]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def _without_weights(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_weights(value) for key, value in node.items()
                if key not in ('init_cfg', 'pretrained', 'loss_decode', 'train_cfg', 'auxiliary_head')}
    return [_without_weights(value) for value in node] if isinstance(node, list) else node


def models(laboratory: Laboratory, data: str) -> dict[str, tuple[str, Config]]:
    """Returns the models of a data set's rows, each once: by key, what to call it, and the config."""
    found: dict[str, tuple[str, Config]] = {}
    for row in laboratory.plan.rows.values():
        if data in laboratory.plan.data_of(row):
            for way, cfg in ways(laboratory, data, row.name).items():
                found.setdefault(model_key(cfg), (f'{row.name}{way and ", " + way}', cfg))
    return found


def settings_of_runs(laboratory: Laboratory, data: str) -> list[Settings]:
    """Returns the settings that all models are run in, by turns: those with the plan's dtypes that the device has.

    Raises:
        InputError: It has none of them.
    """
    device = resolve_device(None)
    flags = cpu_flags() if device.type == 'cpu' else FAST_BF16
    dtypes = [dtype for dtype in laboratory.plan.speed.dtypes if dtype != 'bf16' or set(flags) & set(FAST_BF16)]
    if not dtypes:
        raise InputError(f'{laboratory.plan.path}: speed dtypes has bf16 alone, for which this CPU has no '
                         'instructions; add fp32')
    return [Settings(device, dtype, image_size=laboratory.plan.data[data].image_size) for dtype in dtypes]


def thread_counts(laboratory: Laboratory) -> list[int]:
    """Returns the plan's numbers of threads that this machine has cores for; on a GPU only that of now."""
    if resolve_device(None).type != 'cpu':
        return [torch.get_num_threads()]
    return [count for count in laboratory.plan.speed.threads if count <= (os.cpu_count() or 1)] or [1]


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """A context in which PyTorch computes with so many threads on the CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure(laboratory: Laboratory, data: str, console: Console) -> None:
    """Measures all models of a data set, and keeps the records in its folder.

    Each number of threads is one run, in which all models take turns in all dtypes, image by image.

    Raises:
        InputError: A model cannot be built, or fails; or the plan has no dtype for this machine.
    """
    plan, settings, found = laboratory.plan.speed, settings_of_runs(laboratory, data), models(laboratory, data)
    records = []
    for count in thread_counts(laboratory):
        with threads(count):
            subjects = [(key, _subject(laboratory, data, *model, way))
                        for key, model in found.items() for way in settings]
            console.print(f'{data}: the speed of {len(found)} models in {", ".join(way.dtype for way in settings)}, '
                          f'{count} thread{"s" * (count > 1)}, {plan.images} images', highlight=False)
            with Reporter(console, 'calls') as report:
                run_in_turns([subject for _, subject in subjects], plan.images, plan.warmup, 1, report)
            for key, subject in subjects:
                subject.measure_peak()
                records.append(dict(model=key) | record(subject, subjects[0][1], plan.images, 1, plan.warmup))
    content = dict(of=_conditions(laboratory, data), records=records)
    write_whole(speed_file(laboratory, data), json.dumps(content, indent=1) + '\n')


def _subject(laboratory: Laboratory, data: str, name: str, cfg: Config, way: Settings) -> Subject:
    """Returns a model to measure: with random weights on noise, which take as long as others.

    But where the cost depends on what an image shows, it has the weights of its row's first seed, and real images.
    """
    def build(checkpoint: str | None = None) -> Built:
        return build_for_measuring(name, copy.deepcopy(cfg), way, checkpoint)  # building the model changes the config

    built = build()
    varies = varies_with_image(built.model)
    if varies:
        checkpoint = _checkpoint(laboratory, data, name)
        if checkpoint.is_file():
            built = build(str(checkpoint))
        else:
            varies = False
            MMLogger.get_current_instance().warning(
                f'{data}/{name}: what it costs depends on its weights and the images, and it is not trained yet: '
                'measured with random weights on noise')
    return Subject(built, Images(cfg, varies, 1, None if varies else way.image_size), way)


def _checkpoint(laboratory: Laboratory, data: str, name: str) -> Path:
    """Returns where the first seed of a model's row has its last checkpoint."""
    row = laboratory.plan.rows[name.partition(',')[0]]
    return laboratory.checkpoint(Run(data, row.name, laboratory.plan.seeds_of(row)[0]))


def kept_records(laboratory: Laboratory, data: str) -> list[dict]:
    """Returns the records of a data set that were kept, where they are of all its models; else none.

    Nor are those of a model that had to be trained to be measured, and is trained by now. That they were measured
    on this machine does not matter: they say on which.
    """
    try:
        content = json.loads(speed_file(laboratory, data).read_text(encoding='utf-8'))
        found, records = models(laboratory, data), content['records']
        same = content['of'] == _conditions(laboratory, data) and not any(
            is_unlike_use(one) and _checkpoint(laboratory, data, found[one['model']][0]).is_file() for one in records)
        return records if same else []
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def is_measured_here(records: list[dict]) -> bool:
    """Returns whether records were measured on a machine like this one."""
    device = resolve_device(None)
    return bool(records) and all(one['device_name'] == device_name(device) and one['torch'] == torch.__version__
                                 for one in records)


def speed_file(laboratory: Laboratory, data: str) -> Path:
    """Returns where the speed of a data set's models is kept."""
    return laboratory.work_dir / data / SPEED


def costs(laboratory: Laboratory, data: str) -> dict[str, dict]:
    """Returns the parameters (millions) and GFLOPs of the models of a data set for one of its images, by key."""
    found = {}
    for key, (name, cfg) in models(laboratory, data).items():
        way = Settings(torch.device('cpu'), image_size=laboratory.plan.data[data].image_size)
        subject = _subject(laboratory, data, name, cfg, way)
        for item in range(COUNTED if varies_with_image(subject.model) else 1):
            subject.run(item)
        found[key] = dict(params_m=subject.parameters / 1e6, gflops=subject.gflops(),
                          windows_per_image=subject.windows_per_image, input=list(next(iter(subject.inputs))))
    return found


def _conditions(laboratory: Laboratory, data: str) -> dict[str, Any]:
    """Returns what records must be of to count: these models, at this size, so many images."""
    speed = laboratory.plan.speed
    return dict(models=sorted(models(laboratory, data)), image_size=list(laboratory.plan.data[data].image_size),
                images=speed.images, dtypes=list(speed.dtypes), threads=list(speed.threads))
