"""A segmentor with a teacher: the class that it has while it trains, and what it needs beside its own weights."""
import copy

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ...errors import InputError
from ..random_state import capture, restore
from .losses import as_classes, feature_loss, logit_loss
from .options import DistillationOptions
from .recording import recorded
from .resampling import resample
from .teacher import Teacher, map_at, maps_of, without_normalisation

NAME = 'distillation'  # of the module in a student
PROBE = (256, 256)  # pixels, where a student does not say its input's size


class Distiller(nn.Module):
    """The losses by which a teacher teaches a student, and the projector of features, which is trained with it.

    It is no part of any `state_dict`: a student's checkpoint is a plain segmentor's. What its own checkpoints need of
    it, `DistillationHook` saves beside.

    Args:
        teacher: The teacher.
        options: What is lost, and by which weights.
        channels: Of the two maps, the student's and the teacher's; None without features.
    """

    def __init__(self, teacher: Teacher, options: DistillationOptions, channels: tuple[int, int] | None):
        super().__init__()
        self.teacher, self.options = teacher, options
        self.projector = None if channels is None else nn.Conv2d(*channels, 1)
        self._register_state_dict_hook(_leave_out)
        self.register_load_state_dict_post_hook(_miss_nothing)

    def forward(self, student: 'Distilled', inputs: Tensor, data_samples: list[SegDataSample], logits: Tensor,
                maps: list[Tensor]) -> dict[str, Tensor]:
        """Returns the losses of a batch.

        Args:
            student: The student.
            inputs: (B, 3, H, W), as its data preprocessor made them.
            data_samples: One per image.
            logits: Those of the student's decode head, (B, C, h, w).
            maps: Those of its backbone.
        """
        with torch.no_grad():
            images = without_normalisation(inputs, student.data_preprocessor)
            theirs = self.teacher.prepare([image[:, :height, :width] for image, (height, width) in zip(
                images, _sizes(inputs, data_samples), strict=True)])
            ignored = _last(student.decode_head).ignore_index if self.options.ignore_void else None
            taught = taught_pixels(inputs, data_samples, ignored)
            their_logits, their_maps = self.teacher(theirs)
        sizes, losses = (tuple(theirs.shape[2:]), tuple(inputs.shape[2:])), {}

        def brought(given: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
            grid = tuple(grid.shape[2:])
            return resample(given, sizes[0], grid, sizes[1]), F.adaptive_avg_pool2d(taught, grid)[:, 0]
        if self.options.logits.weight:
            target, weights = brought(as_classes(their_logits), logits)
            losses['distill.loss_logits'] = self.options.logits.weight * logit_loss(
                as_classes(logits), target, self.options.logits.temperature, weights)
        if self.projector is not None:
            features = self.options.features
            ours = map_at(maps, features.student, 'student')
            target, weights = brought(map_at(their_maps, features.teacher, 'teacher'), ours)
            losses['distill.loss_features'] = features.weight * feature_loss(self.projector(ours), target, weights)
        return losses


class Distilled:
    """What a segmentor's class begins with while it has a teacher, see `give_teacher`."""

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Returns the segmentor's own losses, and `distill.loss_logits` and `distill.loss_features`.

        Args:
            inputs: (B, 3, H, W), normalised.
            data_samples: One per image, with `gt_sem_seg`.
        """
        with recorded(_last(self.decode_head)) as logits, recorded(self.backbone) as maps:
            losses = super().loss(inputs, data_samples)
        return losses | getattr(self, NAME)(self, inputs, data_samples, logits[-1], maps_of(maps[-1]))


def give_teacher(student: EncoderDecoder, options: DistillationOptions, device: str) -> Teacher:
    """Gives a segmentor a teacher, in place: from now on its losses are those of a `Distilled`.

    No random number is drawn: the student is the one that it would be without.

    Args:
        student: The segmentor.
        options: Who teaches, and how.
        device: Where the teacher runs.

    Raises:
        CheckpointError: See `Teacher`.
        InputError: See `Teacher`; or one of the two has no such map, or is no EncoderDecoder; or the teacher cannot
            take the student's crops, or the student's head cannot be taught.
    """
    before = capture()
    try:
        teacher = Teacher(options.teacher, device)
        for model, whose in ((teacher.model, 'teacher'), (student, 'student')):
            if not isinstance(model, EncoderDecoder):
                raise InputError(f'the {whose} is a {type(model).__name__}; distillation takes segmentors with a '
                                 'backbone and a decode head, EncoderDecoder and what derives from it')
        channels = _tried(student, teacher, options)
        student.__class__ = type(f'Distilled{type(student).__name__}', (Distilled, type(student)), {})
        student.add_module(NAME, Distiller(teacher, options, channels).to(device))
    finally:
        restore(before)
    return teacher


def taught_pixels(inputs: Tensor, data_samples: list[SegDataSample], ignored: int | None) -> Tensor:
    """Returns which pixels teach, (B, 1, H, W) of 0 and 1: not padding, nor, where that is given, an ignored label."""
    taught = inputs.new_zeros(len(inputs), 1, *inputs.shape[2:], dtype=torch.float32)
    for pixels, sample, (height, width) in zip(taught, data_samples, _sizes(inputs, data_samples), strict=True):
        pixels[:, :height, :width] = 1
        if ignored is not None:
            pixels *= sample.gt_sem_seg.data != ignored
    return taught


def _sizes(inputs: Tensor, data_samples: list[SegDataSample]) -> list[tuple[int, int]]:
    """Returns height and width of each image of a batch, without padding."""
    return [tuple(sample.metainfo.get('img_shape', inputs.shape[2:])[:2]) for sample in data_samples]


def _last(head: nn.Module) -> nn.Module:
    return head[-1] if isinstance(head, nn.ModuleList) else head


@torch.no_grad()
def _tried(student: EncoderDecoder, teacher: Teacher, options: DistillationOptions) -> tuple[int, int] | None:
    """Shows both models empty images, and returns the channels of the two maps, which no backbone says; None without.

    Raises:
        InputError: See `give_teacher`.
    """
    preprocessor = student.data_preprocessor
    size = tuple(getattr(preprocessor, 'size', None) or PROBE)
    channels = preprocessor.mean.numel() if getattr(preprocessor, '_enable_normalize', False) else 3
    inputs = next(student.parameters()).new_zeros(2, channels, *size)
    _, theirs = teacher(teacher.prepare([*inputs]))
    probe = copy.deepcopy(student).train()  # training counts batches, and heads may give other things than in tests
    head = _last(probe.decode_head)
    labels = PixelData(data=torch.zeros(1, *size, dtype=torch.int64, device=inputs.device))
    samples = [SegDataSample(metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size), gt_sem_seg=labels)
               for _ in inputs]
    with recorded(head) as logits, recorded(probe.backbone) as maps:
        try:
            probe.loss(inputs, samples)
        except Exception:
            if not logits:
                raise
            # Its losses ask for more than labels, such as edges: the data of the training has them.
    if not logits or not isinstance(logits[-1], Tensor) or logits[-1].ndim != 4:
        raise InputError(f'{type(head).__name__} gives no map of logits when it trains, or several: it cannot be '
                         'taught by a teacher; take a head with one map of logits')
    if options.features is None:
        return None
    return (map_at(maps_of(maps[-1]), options.features.student, 'student').shape[1],
            map_at(theirs, options.features.teacher, 'teacher').shape[1])


def _leave_out(module: nn.Module, state: dict, prefix: str, metadata: dict) -> None:
    for name in [name for name in state if name.startswith(prefix)]:
        del state[name]


def _miss_nothing(module: nn.Module, keys) -> None:
    keys.missing_keys[:] = [name for name in keys.missing_keys if f'{NAME}.projector.' not in name]
