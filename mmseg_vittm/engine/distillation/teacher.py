"""Teacher: a trained segmentor that is asked, and never changes."""
import hashlib
import re

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor
from mmengine.registry import DefaultScope
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ...errors import CheckpointError, InputError, one_line
from ...inference.fused_attention import fuse_self_attention
from ...inference.precision import cast_matmuls, check_dtype, computing_in
from ...inference.slide_segmentor import gives_logits
from ...weights.whole_model import load_model
from .options import TeacherOptions
from .recording import recorded


class Teacher:
    """A trained segmentor, in evaluation mode and without gradients; copies of what holds it share it.

    Its backbone and heads compute in a type of its own, with the fast path's fused attention, whatever the student
    trains in.

    Args:
        options: Who it is, and what it computes in.
        device: Where it runs.

    Raises:
        CheckpointError: Its checkpoint cannot be read, does not fit its config exactly, or holds other weights than
            `options.sha256` says.
        InputError: The device does not have the type.
    """

    def __init__(self, options: TeacherOptions, device: str):
        self.options = options
        check_dtype(options.dtype, torch.device(device))
        with DefaultScope.overwrite_default_scope('mmseg'):
            self.model = _load(options, device).requires_grad_(False)
        self.sha256 = sha256_of(self.model)
        if options.sha256 not in (None, self.sha256):
            raise CheckpointError(f'{options.checkpoint}: not the teacher that the config names: its weights have the '
                                  f'SHA-256 {self.sha256[:12]}..., distillation.teacher.sha256 is '
                                  f'{options.sha256[:12]}...; give that file, or teacher=CONFIG CHECKPOINT to begin '
                                  'with another')
        for part in (self.model.backbone, getattr(self.model, 'neck', None), self.model.decode_head):
            if part is not None:
                cast_matmuls(part, options.dtype)
                fuse_self_attention(part)

    def __deepcopy__(self, memo: dict) -> 'Teacher':  # of a student with it, as for an average of weights
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of its classes, as its checkpoint has them."""
        return tuple(self.model.dataset_meta.get('classes') or ())

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Returns images as it was trained to see them: normalised and padded by its own data preprocessor.

        Args:
            images: (3, H, W) each, 0 to 255, channels as the data set has them.

        Returns:
            (B, 3, H', W'): those smaller than the largest are padded at the right and below.
        """
        preprocessor = self.model.data_preprocessor
        groups = [images] if len({image.shape for image in images}) == 1 else [[image] for image in images]
        batches = []
        for group in groups:
            data = dict(inputs=group, data_samples=[SegDataSample() for _ in group])
            inputs = preprocessor(data, False)['inputs']
            batches += [inputs if isinstance(inputs, Tensor) else torch.stack(inputs)]
        sides = [max(batch.shape[axis] for batch in batches) for axis in (2, 3)]
        value = getattr(preprocessor, 'pad_val', getattr(preprocessor, 'pad_value', 0))
        return torch.cat([F.pad(batch, (0, sides[1] - batch.shape[3], 0, sides[0] - batch.shape[2]), value=value)
                          for batch in batches])

    @torch.no_grad()
    def __call__(self, inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns logits (B, C, h, w), at the head's resolution where it has one, and the maps of the backbone.

        Args:
            inputs: (B, 3, H, W), of `prepare`.

        Raises:
            InputError: It cannot take images of that size.
        """
        size = inputs.shape[2:]
        try:
            with computing_in(self.options.dtype, inputs.device), recorded(self.model.backbone) as maps:
                if gives_logits(self.model.decode_head):
                    logits = self.model(inputs, mode='tensor')
                else:
                    metas = [dict(ori_shape=size, img_shape=size, pad_shape=size) for _ in inputs]
                    logits = self.model.encode_decode(inputs, metas)
        except torch.cuda.OutOfMemoryError:
            raise
        except (AssertionError, IndexError, RuntimeError, ValueError) as error:  # whatever its class finds wrong
            raise InputError(f'{self.options.checkpoint}: the teacher cannot see images of {size[0]} x {size[1]} '
                             f'pixels ({one_line(error)}); train on crops of a size that it takes, or take another '
                             'teacher') from error
        return logits, maps_of(maps[-1])


def _load(options: TeacherOptions, device: str) -> nn.Module:
    """Loads a teacher's model; all of it, whatever is allowed of other checkpoints.

    Raises:
        CheckpointError: It cannot be read, or does not fit; says that it is the teacher's.
    """
    try:
        return load_model(options.config, options.checkpoint, device)
    except CheckpointError as error:
        reason = re.sub(r'(, or|;) allow_partial=True .*', '', str(error), flags=re.DOTALL)
        raise CheckpointError(f"the teacher's checkpoint {reason}; teacher=CONFIG CHECKPOINT takes a whole training's "
                              'checkpoint and its own config') from error


def maps_of(output: Tensor | list | tuple) -> list[Tensor]:
    """Returns the maps that a backbone gave, as a list."""
    return [output] if isinstance(output, Tensor) else list(output)


def map_at(maps: list[Tensor], index: int, whose: str) -> Tensor:
    """Returns one of a backbone's maps (B, C, h, w).

    Raises:
        InputError: It has no such map.
    """
    if not -len(maps) <= index < len(maps) or maps[index].ndim != 4:
        raise InputError(f"distillation.features.{whose}={index}: the {whose}'s backbone gives {len(maps)} maps; give "
                         f'an index from {-len(maps)} to {len(maps) - 1}')
    return maps[index]


def without_normalisation(inputs: Tensor, preprocessor: BaseDataPreprocessor) -> Tensor:
    """Returns a batch (B, 3, H, W) as it was before a preprocessor normalised it and swapped its channels."""
    if getattr(preprocessor, '_enable_normalize', False):
        inputs = inputs * preprocessor.std + preprocessor.mean
    # By its name in upstream MMSegmentation, and in mmengine and the maintained fork.
    swapped = any(getattr(preprocessor, name, False) for name in ('channel_conversion', '_channel_conversion'))
    if swapped and inputs.shape[1] == 3:
        inputs = inputs.flip(1)
    return inputs


def sha256_of(model: nn.Module) -> str:
    """Returns the SHA-256 of a model's weights and buffers, with their names, whatever file they came in."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        found.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}\n'.encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()
