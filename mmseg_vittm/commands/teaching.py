"""A training run's teacher, as the command line names it: looked at before anything is built or written."""
import os

from mmengine.config import Config

from ..engine.distillation.options import SECTION, DistillationOptions
from ..errors import InputError
from .configs.reading import load_config
from .trial.whole import try_to_build


def set_teacher(cfg: Config, teacher: list[str] | None = None, dtype: str | None = None) -> None:
    """Names the teacher in a config, and checks it as far as that needs no weights.

    Args:
        cfg: The config, of `load_config`.
        teacher: Config and checkpoint of the teacher, in place of the config's.
        dtype: What it computes in, in place of the config's.

    Raises:
        InputError: A setting of `distillation` is wrong, one of the two files is missing, or the teacher's model
            cannot be built.
    """
    section = cfg.get(SECTION)
    if teacher is None and dtype is None and not section:
        return
    section = dict(section or {})
    named = dict(section.get('teacher') or {})
    if teacher is not None:
        named = {name: value for name, value in named.items() if name != 'sha256'} | dict(
            config=teacher[0], checkpoint=teacher[1])
    if dtype is not None:
        named['dtype'] = dtype
    cfg[SECTION] = section | dict(teacher=named)
    options = DistillationOptions.of(cfg[SECTION]).teacher
    if '://' not in options.checkpoint and not os.path.isfile(os.path.expanduser(options.checkpoint)):
        raise InputError(f'{options.checkpoint}: no such file; check teacher=CONFIG CHECKPOINT')
    own = load_config(options.config, job='measure')
    try_to_build(Config(dict(model=own.model, test_pipeline=[], default_scope=own.default_scope),
                        filename=own.filename), 'infer')
