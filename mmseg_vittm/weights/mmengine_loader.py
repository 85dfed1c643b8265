"""mmengine's checkpoint loading without running code, once it is switched on: for mmseg's API too."""
import functools
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from mmengine.fileio import get_file_backend
from mmengine.infer import BaseInferencer
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from ..errors import CheckpointError
from .dataset_meta import read_dataset_meta
from .files import TRUST, existing, is_safetensors, read_weights_file, trusted
from .finite import check_finite

# mmengine logs what follows `load_from_` in the name of a function: those of this file are named like its own.


def load_from_local(path: str, map_location: Any = None) -> Any:
    """Reads a file for mmengine; a safetensors file as the checkpoint of a model, `state_dict` and `meta`.

    `meta['config']`, which `Runner.resume` would run as Python, is left out; mmengine itself writes `cfg`.

    Raises:
        CheckpointError: See `read_weights_file`; or weights in it are NaN or infinite.
    """
    content = read_weights_file(path, map_location)
    for weights in _weights_in(content):
        check_finite(weights, path)
    if is_safetensors(existing(path)):
        meta = read_dataset_meta(path)
        return {'state_dict': content, 'meta': {} if meta is None else {'dataset_meta': meta}}
    if isinstance(content, dict) and 'meta' in content and 'state_dict' in content:
        if not isinstance(content['meta'], dict):
            raise CheckpointError(f"{path}: 'meta' in it is no dict but a {type(content['meta']).__name__}: the file "
                                  'is damaged, or no checkpoint of mmengine')
        content['meta'].pop('config', None)
    return content


def _weights_in(content: Any) -> list[dict]:
    """Returns the dicts of weights in a file that mmengine and its models look into."""
    if not isinstance(content, dict):
        return []
    wrapped = [content[key] for key in ('state_dict', 'model', 'ema_state_dict') if isinstance(content.get(key), dict)]
    return wrapped or [content]


def load_url(url: str, model_dir: str | None = None, map_location: Any = None, progress: bool = True) -> Any:
    """Downloads a file into torch.hub's folder, where it is not there yet, and reads it as a local one.

    Raises:
        CheckpointError: It cannot be had, or see `read_weights_file`.
    """
    path = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints') / Path(urlparse(url).path).name
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=progress)
        except (OSError, ValueError) as error:
            raise CheckpointError(f'{url} cannot be downloaded ({type(error).__name__}: {error}); download it '
                                  'yourself and give the path of the local file') from error
    return load_from_local(str(path), map_location)


def load_from_ceph(path: str, map_location: Any = None, backend: str = 'petrel') -> Any:
    """Reads an object of S3 or Petrel as a local file."""
    content = get_file_backend(path, backend_args={'backend': backend}).get(path)
    with tempfile.NamedTemporaryFile(suffix=Path(path).suffix) as file:
        file.write(content)
        file.flush()
        return load_from_local(file.name, map_location)


def load_from_pavi(path: str, map_location: Any = None) -> Any:
    """Refuses a path of Pavi.

    Raises:
        CheckpointError: Always.
    """
    raise CheckpointError(f'{path}: is not read from Pavi; download it and give the path of the local file')


def _needs_a_config(init_model: Any) -> Any:
    """Wraps mmengine's inferencers: without a config they would run the one in the checkpoint."""
    @functools.wraps(init_model)
    def guarded(self, cfg, weights, device='cpu'):
        if not cfg and not trusted():
            raise CheckpointError(f'{weights}: without a config, the one in the checkpoint would be run as a program; '
                                  f'give model=CONFIG, or, if you trust where the file is from, do it {TRUST}')
        return init_model(self, cfg, weights, device)
    return guarded


def use_safe_reading() -> None:
    """Makes mmengine read every checkpoint by `read_weights_file`, in this process from now on.

    Importing `mmseg_vittm` does not call it: our tools, `StrictRunner`, `load_model` and `Predictor` do, and configs by
    naming `mmseg_vittm.weights.safe_loading` in their `custom_imports`.

    It covers what goes through mmengine's `CheckpointLoader`: Runners, `init_cfg`, `mmseg.apis.init_model`,
    `MMSegInferencer`. A file that holds what `read_weights_file` takes gives the same results as before, at the same
    `map_location`, from the same addresses and caches; but weights that are NaN or infinite are an error. What it
    refuses, checkpoints that need code to load, is an error whose remedy is `mmseg_vittm.trust_checkpoints()`. So is an
    inferencer called without a config, since a config decides what is imported and called
    (`dict(type='subprocess.Popen', ...)`): no look at its text could make it safe.
    What does not go through mmengine stays as it is: `torch.load` itself, timm's `pretrained=True`.
    """
    if CheckpointLoader._schemes.get('') is load_from_local:
        return
    for prefix, read in {'': load_from_local, 'pavi://': load_from_pavi, r'(\S+\:)?s3://': load_from_ceph,
                         r'(\S+\:)?petrel://': load_from_ceph}.items():
        CheckpointLoader.register_scheme(prefixes=prefix, loader=read, force=True)
    # What http(s)://, torchvision://, open-mmlab:// and mmcls:// come down to.
    mmengine_checkpoint.load_url = load_url
    if not hasattr(BaseInferencer._init_model, '__wrapped__'):
        BaseInferencer._init_model = _needs_a_config(BaseInferencer._init_model)
