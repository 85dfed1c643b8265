"""What a warm start has left to do when its weights are loaded: the images' normalisation, and the calibration."""
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .anchor import POWER
from .calibration import Calibrated, calibrate
from .closeness import closeness, memory_closeness
from .images import Images, differ, fold_images, shown_numbers
from .teacher import Teacher

# How the norms are calibrated: least squares with anchors, see `calibration`, or what it was compared with.
CALIBRATIONS = {'anchored': dict(anchor=POWER), 'least_squares': dict(anchor=0.0), 'none': None}


@dataclass
class Pending:
    """What a backbone's warm start has left to do.

    Attributes:
        embeddings: Its patch embeddings.
        images: How images were normalised for the ViT, None where that is not known.
        rgb: Whether its images were RGB; None for as this config has them.
        positions: The ViT's position embeddings (1, N, C), where its patch embeddings have no bias.
        teacher: What its norms are calibrated by, None for a ViT, which needs none.
        calibration: A key of `CALIBRATIONS`.
        outputs: Blocks whose streams are taken as maps.
    """
    embeddings: Sequence[nn.Conv2d]
    images: Images | None
    rgb: bool | None = True
    positions: tuple[nn.Parameter, int] | None = None
    teacher: Teacher | None = None
    calibration: str = 'anchored'
    outputs: Sequence[int] = ()


_PENDING: weakref.WeakKeyDictionary[nn.Module, Pending] = weakref.WeakKeyDictionary()


def put_off(backbone: nn.Module, left: Pending) -> None:
    """Notes what a backbone's warm start has left to do."""
    _PENDING[backbone] = left


def pending_in(model: nn.Module) -> list[nn.Module]:
    """Returns the parts of a model whose warm start has something left to do."""
    return [module for module in model.modules() if module in _PENDING]


def give_up(backbone: nn.Module) -> None:
    """Forgets what is left to do, as where other weights have taken the place of the ViT's."""
    _PENDING.pop(backbone, None)


@torch.no_grad()
def finish(backbone: nn.Module, batches: Sequence[Tensor], images: Images, rgb: bool = True) -> list[str]:
    """Does what a backbone's warm start has left to do.

    Args:
        backbone: It.
        batches: Some images (B, channels, H, W), normalised as in training.
        images: How they are normalised.
        rgb: Whether they are RGB, not BGR.

    Returns:
        What was done, in sentences for the log.
    """
    left, said = _PENDING.pop(backbone), []
    if left.images is None:
        said.append('how images were normalised for the ViT is not known: taken as here')
    else:
        theirs = left.images
        if left.rgb is not None and left.rgb != rgb:
            said.append(f'its patch embeddings take {"RGB" if rgb else "BGR"} now, as this config has images')
            theirs = Images(theirs.mean[::-1], theirs.std[::-1])
            for embedding in left.embeddings:
                embedding.weight.copy_(embedding.weight.flip(1))
        if differ(theirs, images):
            for embedding in left.embeddings:
                fold_images(embedding, theirs, images, left.positions)
            said.append(f'its normalisation of images, mean {shown_numbers(theirs.mean)} and std '
                        f'{shown_numbers(theirs.std)}, is folded into {len(left.embeddings)} patch embeddings')
    if left.teacher is None:
        return said
    teacher, training = left.teacher, backbone.training
    merging, teacher.encoder.merge_tokens = teacher.encoder.merge_tokens, 0  # the ViT has features of every token
    backbone.eval()
    goals = [teacher.features(batch) for batch in batches]
    embedded = [teacher.encoder.embed(batch)[1] for batch in batches]
    before = closeness(teacher.encoder, batches, goals)[-1]
    settings = CALIBRATIONS[left.calibration]
    done = Calibrated([], []) if settings is None else calibrate(teacher, batches, outputs=left.outputs, **settings)
    after = closeness(teacher.encoder, batches, goals)[-1]
    memory = memory_closeness(teacher.encoder, batches, embedded)
    backbone.train(training)
    teacher.encoder.merge_tokens = merging
    count = sum(len(batch) for batch in batches)
    said.append(f"the process stream's cosine with the ViT's own features after the last block is {after.cosine:.3f}, "
                f'on {count} images' + f', {before.cosine:.3f} before the calibration' * bool(done.fits)
                + f"; the memory's with what it embeds {memory.cosine:.3f}, where the last block reads it")
    said.append(_summary(done, left.calibration))
    return said


def _summary(done: Calibrated, calibration: str) -> str:
    if not done.fits:
        return "nothing was calibrated, as calibration='none' says"
    worst = max(done.fits, key=lambda fit: fit.after)
    before, after = (sorted(errors)[len(done.fits) // 2] for errors in zip(*((fit.before, fit.after)
                                                                             for fit in done.fits), strict=True))
    return (f'{len(done.fits)} norms ({2 * len(done.fits)} tensors) calibrated, {calibration}, with anchors in '
            f'{len(done.biases)} biases: relative error of their tokens {before:.3f} -> {after:.3f} (median), '
            f'{worst.after:.3f} at worst ({worst.name})')
