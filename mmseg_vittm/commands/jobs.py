"""A config made ready for its job, training or a test, before the Runner is built from it."""
import os
from pathlib import Path

from mmengine.config import Config

from ..classification.config_checks import is_classifier
from ..datasets.listing import datasets_of
from ..engine.amp import use_amp
from ..engine.work_dir.resume import NAMES, STOPPED, WHERE_TO_RESUME, checkpoints_in, nothing_to_resume
from ..errors import InputError
from ..outputs import claim_file, claim_folder
from ..weights.warm_start.source import read_source
from ..weights.warm_start.timm_names import check_source, is_file
from .checked_outputs import check_test_outputs
from .configs.reading import check_data
from .trial.whole import try_to_build


def prepare_training(cfg: Config, work_dir: str | None = None, pretrained: str | None = None, amp: bool = False,
                     resume: bool | str = False, trial: bool = True, warm_start: str | None = None) -> None:
    """Sets a config up for training.

    Args:
        cfg: The config, of `load_config`.
        work_dir: Folder for logs and checkpoints; see `set_work_dir`.
        pretrained: File of backbone weights, or a classifier's, to start from, in place of the config's.
        amp: Mixed precision; see `use_amp`.
        resume: See `StrictRunner`. False leaves it to the config.
        trial: Whether to see, by `try_to_build`, if the config's parts can be built; once per machine will do.
        warm_start: File of a ViT's weights, or a name of timm's, for the backbone to begin from.

    Raises:
        InputError: Data, weights or the file to start from are missing, there is nothing to resume from, or a part of
            the config cannot be built.
        OutputError: The work dir cannot be made or written to.
    """
    check_data(cfg, ('train_dataloader', *['val_dataloader'] * bool(cfg.get('val_cfg'))))
    set_work_dir(cfg, work_dir)
    check_work_dir(cfg.work_dir)
    if pretrained is not None:
        _check_file(pretrained, 'pretrained=FILE')
        part = cfg.model if is_classifier(cfg) else cfg.model.backbone
        part.init_cfg = dict(type='Pretrained', checkpoint=pretrained)
    if warm_start is not None:
        if pretrained is not None:
            raise InputError(f'pretrained={pretrained} and warm_start={warm_start} both start the backbone; give one')
        if is_classifier(cfg):
            raise InputError(f'warm_start={warm_start}: {cfg.filename} is of a classifier, and a warm start is of the '
                             'backbone of a segmentor; give pretrained=FILE')
        set_warm_start(cfg, warm_start)
    if amp:
        use_amp(cfg)
    if resume:
        cfg.resume = resume
    folder, load_from = Path(cfg.work_dir), cfg.get('load_from')
    if cfg.get('resume') is True and load_from is None and not folder.is_dir():
        raise InputError(f'{folder}: no such work dir; {WHERE_TO_RESUME}')
    if cfg.get('resume') is True and load_from is None:
        folders = [folder, *_out_dirs(cfg)]
        if not checkpoints_in(folders, _names(cfg)):
            raise nothing_to_resume(folder, folders)
    if load_from is not None and cfg.get('resume') in (None, False, True):
        _check_file(load_from, 'the setting load_from')
    if (not cfg.get('resume') and load_from is not None
            and Path(load_from).expanduser().parent.resolve() == folder.resolve()):
        raise InputError(f'{load_from}: the checkpoints in {folder} are moved to a subfolder by a run that begins '
                         'there; give another work_dir=DIR, or resume=True to go on with the earlier run')
    if warm_start is not None and load_from is not None and not cfg.get('resume'):
        raise InputError(f'warm_start={warm_start} and the setting load_from={load_from} both start the model; give '
                         'one')
    _prepare_warm_start(cfg, trial)
    if trial:
        try_to_build(cfg, 'train')


def set_warm_start(cfg: Config, source: str) -> None:
    """Has a config's backbone begin from a ViT; how, other arguments of its own `WarmStart` say."""
    given = cfg.model.backbone.get('init_cfg')
    given = given if isinstance(given, dict) and given.get('type') == 'WarmStart' else dict(type='WarmStart')
    cfg.model.backbone.init_cfg = dict(given, checkpoint=source)


def _prepare_warm_start(cfg: Config, read: bool) -> None:
    """Checks what the config's backbone begins from; a run that is resumed begins from nothing, and needs no file."""
    backbone = cfg.model.get('backbone')
    start = backbone.get('init_cfg') if isinstance(backbone, dict) else None
    if not isinstance(start, dict) or start.get('type') != 'WarmStart':
        return
    if cfg.get('resume') is True:
        del backbone['init_cfg']
        return
    check_source(start.get('checkpoint'))
    if read and is_file(start['checkpoint']):
        read_source(start['checkpoint'])


def prepare_test(cfg: Config, checkpoint: str, work_dir: str | None = None, dtype: str = 'fp32', compile: bool = False,
                 tta: bool = False, out: str | None = None, show_dir: str | None = None,
                 overwrite: bool = False, trial: bool = True) -> None:
    """Sets a config up for scoring a checkpoint on its test split, through the fast path.

    Args:
        cfg: The config, of `load_config`.
        checkpoint: The file of the whole model.
        work_dir: Folder for logs; see `set_work_dir`.
        dtype: See `FastInferenceHook`.
        compile: See `FastInferenceHook`.
        tta: Test-time augmentation, by the config's `tta_pipeline` and `tta_model`.
        out: Folder for every prediction as a PNG of labels, or None.
        show_dir: Folder for a picture of every image, or None.
        overwrite: Replace what an earlier test wrote to these folders.
        trial: See `prepare_training`.

    Raises:
        InputError: Data is missing, the config has no test-time augmentation, a part of it cannot be built, or what is
            to be written is there already or would take the place of data; see `check_test_outputs`.
        OutputError: Nothing can be written there, or to the work dir.
    """
    of_segmentors = dict(compile=compile, tta=tta, out=out is not None, show_dir=show_dir is not None)
    if is_classifier(cfg) and any(of_segmentors.values()):
        name = next(name for name, given in of_segmentors.items() if given)
        value = 'DIR' if name in ('out', 'show_dir') else 'True'
        raise InputError(f'{name}={value} is for segmentors, and {cfg.filename} has a classifier; leave it out')
    check_data(cfg, ('test_dataloader',))
    folders = {name: folder for name, folder in (('out', out), ('show_dir', show_dir)) if folder is not None}
    if folders:
        check_test_outputs(cfg, folders, overwrite)
    set_work_dir(cfg, work_dir)
    check_work_dir(cfg.work_dir)
    cfg.load_from, cfg.resume = checkpoint, False
    # A saved `state_dict` is the average already; swapping it in again would test a fresh copy of the model.
    hooks = [hook for hook in cfg.get('custom_hooks') or [] if hook.get('type') != 'EMAHook']
    hooks.append(dict(type='FastInferenceHook', dtype=dtype, compile=compile))
    if show_dir:
        hooks.append(dict(type='PictureHook', show_dir=show_dir, overwrite=overwrite))
    if out:
        hooks.append(dict(type='LabelHook', out=out, overwrite=overwrite))
    cfg.custom_hooks = hooks
    if tta:
        if 'tta_pipeline' not in cfg or 'tta_model' not in cfg:
            raise InputError(f'tta=True: {cfg.filename} has no tta_pipeline and tta_model')
        for dataset in datasets_of(cfg.test_dataloader):
            dataset.pipeline = cfg.tta_pipeline
        cfg.tta_model.module = cfg.model
        cfg.model = cfg.tta_model
    if trial:
        try_to_build(cfg, 'test')


def check_work_dir(work_dir: str) -> None:
    """Checks that a work dir can be made and written to; makes nothing.

    Raises:
        OutputError: It cannot, such as one at or below a file, or one with a name too long for the logs in it.
    """
    claim_folder(work_dir)
    claim_file(Path(work_dir) / '20000101_000000_2' / 'vis_data' / '20000101_000000_2.json', overwrite=True)


def _check_file(path: str, what: str) -> None:
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f'{what} must be a path, got {path!r}')
    path = os.fspath(path)
    if '://' not in path and not os.path.isfile(os.path.expanduser(path)):
        raise InputError(f'{path}: no such file; check {what}')


def _checkpoint_hooks(cfg: Config) -> list[dict]:
    hooks = [*(cfg.get('default_hooks') or {}).values(), *(cfg.get('custom_hooks') or [])]
    return [hook for hook in hooks if isinstance(hook, dict) and (hook.get('out_dir') or hook.get('filename_tmpl'))]


def _out_dirs(cfg: Config) -> list[Path]:
    name = Path(os.path.abspath(cfg.work_dir)).name
    return [folder for hook in _checkpoint_hooks(cfg) if hook.get('out_dir')
            for folder in (Path(hook['out_dir']) / name, Path(hook['out_dir']))]


def _names(cfg: Config) -> tuple[str, ...]:
    return (*(hook['filename_tmpl'] for hook in _checkpoint_hooks(cfg) if hook.get('filename_tmpl')), *NAMES, STOPPED)


def set_work_dir(cfg: Config, work_dir: str | None = None) -> None:
    """Sets a config's work dir: the given one, its own, or `work_dirs/NAME`, by the name of the config's file."""
    given = cfg.get('work_dir')
    if given is not None and not isinstance(given, str):
        raise InputError(f'the setting work_dir must be a path, got {given!r}')
    cfg.work_dir = work_dir or cfg.get('work_dir') or str(Path('work_dirs') / Path(cfg.filename).stem)
