"""Whole models from checkpoints: read safely, loaded strictly."""
import json
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import CheckpointLoader, Runner
from mmseg.apis import init_model
from mmseg.registry import DATASETS
from safetensors import safe_open
from torch import nn

from ..errors import CheckpointError
from ..weight_files import read_file
from .checked_loaders import use_checked_data

DATASET_META = 'dataset_meta'


def read_checkpoint(path: str) -> dict:
    """Reads a checkpoint of a whole model onto the CPU, without running code in it.

    Args:
        path: A `.pth` file of mmengine's Runner, or a `.safetensors` file of `tools/convert_checkpoint.py`.

    Returns:
        A dict with `state_dict` and `meta`, and what else the Runner saved.

    Raises:
        CheckpointError: The file cannot be read, or is no such checkpoint.
    """
    path = str(Path(path).expanduser())
    checkpoint = read_file(path)
    if path.endswith('.safetensors'):
        with safe_open(path, 'pt') as file:
            metadata = file.metadata() or {}
        meta = {DATASET_META: json.loads(metadata[DATASET_META])} if DATASET_META in metadata else {}
        checkpoint = {'state_dict': checkpoint, 'meta': meta}
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get('state_dict'), dict):
        raise CheckpointError(f"{path}: no checkpoint of a whole model, it has no 'state_dict'; backbone weights are "
                              'loaded by --pretrained or init_cfg')
    checkpoint.setdefault('meta', {}).pop('config', None)  # Runner.resume would run it as Python
    return checkpoint


@RUNNERS.register_module()
class StrictRunner(Runner):
    """mmengine's Runner, whose checkpoints must fit the model exactly (mmengine's only print what does not).

    Its data is checked, see `CheckedDataset`. MMSegmentation's own tools take it by `runner_type='StrictRunner'`.
    """

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'StrictRunner':
        """Builds a Runner from a config, on checked data."""
        runner = super().from_cfg(cfg)
        use_checked_data(runner)
        return runner

    def load_checkpoint(self, filename: str, map_location: Any = 'cpu', strict: bool = True,
                        revise_keys: list = [(r'^module.', '')]) -> dict:  # noqa: B006  (as in mmengine)
        """Loads a checkpoint; see `mmengine.runner.Runner.load_checkpoint`.

        Raises:
            CheckpointError: Weights are missing, unexpected or of another shape; lists them.
        """
        try:
            return super().load_checkpoint(filename, map_location, strict, revise_keys)
        except RuntimeError as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f'{filename} does not fit the model of this config: {error}') from error


def use_safe_loader() -> None:
    """Makes mmengine read local checkpoints by `read_checkpoint`, in this process: what the tools do first."""
    def load_from_local(path: str, map_location: Any = 'cpu') -> dict:  # mmengine logs what follows `load_from_`
        return read_checkpoint(path)

    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)


def load_model(config: Config, path: str, device: str) -> nn.Module:
    """Builds the segmentor of a config with a checkpoint's weights, ready for `mmseg.apis.inference_model`.

    Args:
        config: The config; stays as it is.
        path: The checkpoint, see `read_checkpoint`.
        device: Such as `'cpu'` or `'cuda:0'`.

    Raises:
        CheckpointError: The checkpoint cannot be read, or does not fit the model exactly.
    """
    checkpoint = read_checkpoint(path)
    model = init_model(config.copy(), device='cpu')
    try:
        model.load_state_dict(checkpoint['state_dict'])
    except RuntimeError as error:
        raise CheckpointError(f'{path} does not fit the model of this config: {error}') from error
    meta = checkpoint['meta'].get(DATASET_META) or DATASETS.get(config.test_dataloader.dataset.type).METAINFO
    model.dataset_meta = dict(meta)
    return model.to(torch.device(device)).eval()
