"""WarmStartHook: what a warm start has left to do is done before the first iteration, on images of the training."""
import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import Tensor, nn

from ...datasets.bands.preprocessor import BandsPreProcessor
from ...errors import InputError
from ...weights.warm_start.images import Images
from ...weights.warm_start.pending import finish, give_up, pending_in
from ...weights.whole_model import unwrapped
from ..random_state import seeded


@HOOKS.register_module()
class WarmStartHook(Hook):
    """Calibrates warm-started backbones, see `weights.warm_start`; `StrictRunner` adds it to every training run.

    The images are some of the training's, taken from its data set and not from its dataloader, whose place and random
    numbers stay as they are; they are the same ones in every run and process. A run that is resumed, or begins from
    a checkpoint, has nothing to calibrate.

    Args:
        num_images: How many images.
        batch_size: How many at a time.
    """

    def __init__(self, num_images: int = 32, batch_size: int = 8):
        if num_images < 1 or batch_size < 1:
            raise InputError(f'WarmStartHook: num_images and batch_size must be at least 1, got {num_images} and '
                             f'{batch_size}')
        self.num_images, self.batch_size = num_images, batch_size
        self._loaded = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Takes note where other weights take the place of the ViT's, not of a head's alone."""
        self._loaded = any('backbone.' in name for name in checkpoint['state_dict'])

    def before_train(self, runner: Runner) -> None:
        """Finishes the warm starts in the model.

        Raises:
            InputError: The training set is empty, or its images have another number of channels than the ViT's.
        """
        model = unwrapped(runner.model)
        for backbone in pending_in(model):
            if self._loaded or runner.iter:
                give_up(backbone)
                continue
            images, rgb = normalisation_of(model)
            for said in finish(backbone, self._batches(runner), images, rgb):
                runner.logger.info(f'{type(backbone).__name__}: warm start, {said}')
            for tensor in backbone.state_dict().values():
                broadcast(tensor, src=0)

    def _batches(self, runner: Runner) -> list[Tensor]:
        """Returns normalised images of the training, (B, channels, H, W) each."""
        loader, model = runner.train_dataloader, unwrapped(runner.model)
        count = len(loader.dataset)
        if count == 0:
            raise InputError('train_dataloader: the data set is empty; check its data_root and data_prefix')
        order = torch.randperm(count, generator=torch.Generator().manual_seed(0))[:self.num_images].tolist()
        batches = []
        for start in range(0, len(order), self.batch_size):
            samples = []
            for number, index in enumerate(order[start:start + self.batch_size], start):
                with seeded(0, number):
                    samples.append(loader.dataset[index])
            with seeded(0, start), torch.no_grad():
                batches.append(model.data_preprocessor(loader.collate_fn(samples), True)['inputs'])
        return batches


def normalisation_of(model: nn.Module) -> tuple[Images, bool]:
    """Returns how a model's `data_preprocessor` normalises images, and whether they are RGB after it."""
    preprocessor = model.data_preprocessor
    # mmengine's preprocessor, which the forks' inherits from, has the first name, upstream MMSegmentation's the second.
    rgb = isinstance(preprocessor, BandsPreProcessor) or any(  # whose images are RGB before it
        getattr(preprocessor, name, False) for name in ('_channel_conversion', 'channel_conversion'))
    if not getattr(preprocessor, '_enable_normalize', False):
        return Images((0.0, ) * 3, (1.0, ) * 3), rgb
    mean, std = (tuple(getattr(preprocessor, name).flatten().tolist()) for name in ('mean', 'std'))
    return Images(mean, std), rgb
