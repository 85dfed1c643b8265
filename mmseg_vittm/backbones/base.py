"""What our backbones share: outputs by index, frozen layers, strict loading of pretrained weights."""
from collections.abc import Sequence

from torch import nn

from ..errors import InputError
from ..stack import WEIGHT_INITIALIZERS, BaseModule, MMLogger
from ..weights.channels import fit_channels
from ..weights.report import LoadReport
from ..weights.warm_start.images import Images
from ..weights.warm_start.pending import CALIBRATIONS, Pending, put_off
from ..weights.warm_start.source import ViTWeights
from ..weights.warm_start.timm_names import read_any_source

WARM_START = "dict(type='WarmStart', checkpoint=FILE or a name of timm's), with mean, std and calibration if need be"
ONLY_VITS = "init_cfg type='WarmStart' is for ViTTM, ViTBackbone, ToMe and ALGM"


def resolve_indices(out_indices: int | Sequence[int], num_layers: int) -> tuple[int, ...]:
    """Returns block indices, negative ones counted from the end, as ascending numbers from 0.

    Raises:
        ValueError: None, one out of range, one twice or not ascending.
    """
    given = (out_indices,) if isinstance(out_indices, int) else tuple(out_indices)
    indices = tuple(i + num_layers if i < 0 else i for i in given)
    if not indices or any(not 0 <= i < num_layers for i in indices) or list(indices) != sorted(set(indices)):
        raise ValueError(f'out_indices must be ascending block indices from {-num_layers} to {num_layers - 1}, '
                         f'got {out_indices!r}')
    return indices


class PretrainedBackbone(BaseModule):
    """Base of our backbones: freezes embeddings and first blocks, loads `init_cfg` weights strictly.

    A subclass gives `embeddings()`, `blocks()`, `load_pretrained()` and `take_vit()`, and sets `arch_width` and
    `arch_layers`, its width and the layers of its architecture.

    Args:
        frozen_layers: -1 for none; n for the embeddings and the first n blocks, all of it where n is the
            number of blocks.
        init_cfg: None, mmengine's initialisers, `dict(type='Pretrained', checkpoint=PATH)`, or `dict(type='WarmStart',
            checkpoint=...)`, whose other keys are the arguments of `WarmStart`.
    """

    def __init__(self, frozen_layers: int, init_cfg: dict | list | None):
        super().__init__(init_cfg)
        self.frozen_layers = frozen_layers

    def embeddings(self) -> list[nn.Module | nn.Parameter]:
        """Returns what turns an image into tokens."""
        raise NotImplementedError

    def blocks(self) -> nn.ModuleList:
        """Returns the blocks, in order."""
        raise NotImplementedError

    def load_pretrained(self, path: str):
        """Loads a checkpoint file strictly and returns its `LoadReport`."""
        raise NotImplementedError

    def take_vit(self, source: ViTWeights, report: LoadReport, calibration: str) -> Pending:
        """Takes a ViT's weights strictly, and returns what is left to do once there are images."""
        raise NotImplementedError

    def warm_start(self, checkpoint: str, mean: Sequence[float] | None = None, std: Sequence[float] | None = None,
                   calibration: str = 'anchored') -> LoadReport:
        """Begins from a ViT's weights; see `WarmStart` for the arguments.

        What needs images is left for `StrictRunner`, which does it before the first iteration. A ViT of RGB images in a
        model of other bands has its patch embedding fitted, see `weights.channels`; bands count as normalised as its
        images were.

        Raises:
            InputError: There is no such file or name of timm's, or it cannot be downloaded; or an argument is wrong.
            CheckpointError: It cannot be read, or is of another width, depth or kind than this model.
        """
        if calibration not in list(CALIBRATIONS):  # which may be of any type
            raise InputError(f'WarmStart: calibration must be one of {sorted(CALIBRATIONS)}, got {calibration!r}')
        images = None if mean is None and std is None else Images.checked(mean, std)
        if images is not None and max(images.std) <= 1:
            raise InputError(f'WarmStart: mean={mean!r} and std={std!r} are of images from 0 to 1; give both times 255')
        source, report = read_any_source(checkpoint, (self.arch_width, self.arch_layers))
        source.images = images or source.images
        channels = self._image_channels()
        if source.patch.shape[1] != channels:
            source.patch = fit_channels('patches', source.patch, channels, report)
            source.rgb = None
            if images is None:
                source.images = None
            elif len(images.mean) != channels:
                raise InputError(f'WarmStart: mean and std are of {len(images.mean)} channels, the model takes '
                                 f'{channels} bands; leave them out')
        put_off(self, self.take_vit(source, report, calibration))
        return report

    def _image_channels(self) -> int:
        """Returns how many channels the images have that patch embeddings take."""
        return next(layer.in_channels for part in self.embeddings() if isinstance(part, nn.Module)
                    for layer in part.modules() if isinstance(layer, nn.Conv2d))

    def _freeze(self) -> None:
        """Stops gradients in the frozen layers and puts them in evaluation mode."""
        count = self.frozen_layers
        if not -1 <= count <= len(self.blocks()):
            raise ValueError(f'frozen_layers must be from -1 (none) to {len(self.blocks())} (all blocks), '
                             f'got {count}')
        if count < 0:
            return
        frozen = [self] if count == len(self.blocks()) else [*self.embeddings(), *self.blocks()[:count]]
        for part in frozen:
            part.requires_grad_(False)
            if part is not self and isinstance(part, nn.Module):
                part.eval()
        if count == len(self.blocks()):
            super().train(False)

    def train(self, mode: bool = True):
        """Sets the mode; frozen layers stay in evaluation mode."""
        super().train(mode)
        if mode:
            self._freeze()
        return self

    def init_weights(self) -> None:
        """Initialises the weights: `init_cfg`'s, or what the constructor drew.

        Raises:
            CheckpointError: The checkpoint of `init_cfg` cannot be read, or does not fit this model exactly.
        """
        several = self.init_cfg if isinstance(self.init_cfg, (list, tuple)) else ()
        strict = [cfg.get('type') for cfg in several if cfg.get('type') in ('Pretrained', 'WarmStart')]
        if strict:
            raise ValueError(f"init_cfg must be dict(type='{strict[0]}', checkpoint=PATH), not a list with it, which "
                             'mmengine would not load strictly')
        kind = self.init_cfg.get('type') if isinstance(self.init_cfg, dict) else None
        if kind not in ('Pretrained', 'WarmStart'):
            super().init_weights()
            return
        keys = {'checkpoint'} if kind == 'Pretrained' else {'checkpoint', 'mean', 'std', 'calibration'}
        given = {name: value for name, value in self.init_cfg.items() if name != 'type'}
        if not {'checkpoint'} <= set(given) <= keys:
            wish = "dict(type='Pretrained', checkpoint=PATH)" if kind == 'Pretrained' else WARM_START
            raise ValueError(f'init_cfg must be {wish}, got the keys {sorted(self.init_cfg)}')
        report = self.load_pretrained(given['checkpoint']) if kind == 'Pretrained' else self.warm_start(
            **given)
        loaded = 'loaded' if kind == 'Pretrained' else 'warm start, took'
        MMLogger.get_current_instance().info(f'{type(self).__name__}: {loaded} {report}')
        self._is_init = True


@WEIGHT_INITIALIZERS.register_module()
class WarmStart:
    """`init_cfg=dict(type='WarmStart', ...)` of our backbones: begins from a ViT, of any patch size and grid.

    Args:
        checkpoint: A file of a ViT's weights, `.pth` or `.safetensors`: timm's of a ViT, DeiT, DeiT-III, DINOv2,
            DINOv3, EVA-02, SigLIP or CLIP, Meta's and open_clip's, or ours of a `ViTBackbone`; or a name of timm's,
            which it downloads.
        mean: Mean of the images that the ViT was trained with, RGB from 0 to 255; None for its family's.
        std: Their standard deviation, likewise.
        calibration: How read and write norms are set from images before the first iteration: `'anchored'`,
            `'least_squares'`, or `'none'`; see `weights.warm_start.calibration`.
    """

    def __init__(self, checkpoint: str, mean: Sequence[float] | None = None, std: Sequence[float] | None = None,
                 calibration: str = 'anchored'):
        self.arguments = dict(checkpoint=checkpoint, mean=mean, std=std, calibration=calibration)

    def __call__(self, module: nn.Module) -> None:
        """Begins a backbone of ours; mmengine calls it for other modules alone.

        Raises:
            InputError: The module is none of ours.
        """
        if not isinstance(module, PretrainedBackbone):
            raise InputError(f'{ONLY_VITS}, got a {type(module).__name__}')
        module.warm_start(**self.arguments)
