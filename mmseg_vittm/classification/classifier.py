"""ImageClassifier: any model of timm as a classifier that mmengine trains, ViTTM with both of its heads."""
from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from timm.data import Mixup
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy
from torch import Tensor, nn

from ..errors import InputError, one_line
from ..inference.precision import check_dtype, computing_in
from ..stack import MODELS, MMLogger
from .networks import build_network, head_logits
from .pretrained import load_network

LOSSES = ('cross_entropy', 'binary_cross_entropy')
TOP = 5
TRUTH, RANKS = 'label', 'likeliest'  # of a prediction


@MODELS.register_module()
class ImageClassifier(BaseModel):
    """A classifier of timm; the losses of ViTTM's two heads, on process and memory tokens, are summed, as in the paper.

    Args:
        model_name: A model of timm, such as `'vittm_base_patch28_224'` or `'vit_small_patch16_224'`.
        num_classes: Number K of classes.
        img_size: Input in pixels, an int or (height, width); None is the model's own.
        drop_path_rate: Stochastic depth of the last block; earlier ones have linearly less.
        model_args: More arguments of the model, as `timm.create_model` takes them.
        loss: `'cross_entropy'`, or `'binary_cross_entropy'`, the mean over the classes.
        label_smoothing: Share of a target that is spread over all classes.
        mixup: Alpha of mixup; 0 for none. Where there is CutMix too, each batch has one of both, as likely.
        cutmix: Alpha of CutMix; 0 for none.
        with_cp: Recompute blocks in the backward pass: less memory, more time.
        data_preprocessor: mmengine's, which moves a batch to the device; None is its plain one.
        init_cfg: `dict(type='Pretrained', checkpoint=PATH)` loads, strictly but for a head of another number of
            classes, a checkpoint of such a training, the authors' or timm's, `.pth` or `.safetensors`.

    Raises:
        ValueError: An argument is out of range, or the model does not take it; the message says which.
    """

    def __init__(self, *, model_name: str = 'vittm_base_patch28_224', num_classes: int = 1000,
                 img_size: int | tuple[int, int] | None = None, drop_path_rate: float = 0.0,
                 model_args: dict | None = None, loss: str = 'cross_entropy', label_smoothing: float = 0.0,
                 mixup: float = 0.0, cutmix: float = 0.0, with_cp: bool = False,
                 data_preprocessor: dict | None = None, init_cfg: dict | None = None):
        super().__init__(data_preprocessor, init_cfg)
        if loss not in LOSSES:
            raise ValueError(f'loss must be one of {sorted(LOSSES)}, got {loss!r}')
        if not 0 <= label_smoothing < 1:
            raise ValueError(f'label_smoothing must be in [0, 1), got {label_smoothing!r}')
        for name, value in (('mixup', mixup), ('cutmix', cutmix)):
            if not value >= 0:
                raise ValueError(f'{name} must be 0 or more, got {value!r}')
        if init_cfg is not None and set(init_cfg) != {'type', 'checkpoint'} or init_cfg and init_cfg[
                'type'] != 'Pretrained':
            raise ValueError(f"init_cfg must be dict(type='Pretrained', checkpoint=PATH) or None, got {init_cfg!r}")
        self.num_classes = num_classes
        self.network = build_network(model_name, num_classes, img_size, drop_path_rate, model_args)
        if with_cp:
            self.network.set_grad_checkpointing(True)
        self.mix = Mixup(mixup, cutmix, label_smoothing=label_smoothing, num_classes=num_classes) if (
            mixup or cutmix) else None
        self.criterion = _criterion(loss, label_smoothing, self.mix is not None)
        self.dtype = 'fp32'
        size = (img_size, img_size) if isinstance(img_size, int) else img_size or (
            self.network.pretrained_cfg['input_size'][1:])
        self.try_images(torch.empty(2, 3, *size, device='meta'))

    def try_images(self, images: Tensor) -> None:
        """Has the network say, without computing, what it makes of images (B, 3, H, W).

        Raises:
            InputError: It takes another size.
            ValueError: That are no logits (B, K).
        """
        state = {name: torch.empty_like(one, device='meta') for name, one in (
            *self.named_parameters(), *self.named_buffers())}
        training = self.training
        try:
            with torch.no_grad():
                logits = torch.func.functional_call(self.eval(), state, images.to('meta'))
        except InputError:
            raise
        except (IndexError, RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f'the model takes no images of 3 channels and {images.shape[2]} x {images.shape[3]} '
                             f'pixels, or fails on them: {one_line(error)}; correct model_args') from error
        finally:
            self.train(training)
        for one in logits:
            if getattr(one, 'shape', None) != (len(images), self.num_classes):
                found = tuple(getattr(one, 'shape', ())) or type(one).__name__
                raise ValueError(f'the model returns {found} for {len(images)} images, no scores of '
                                 f'{self.num_classes} classes; correct model_args')

    def check_batch(self, count: int) -> None:
        """Checks the number of images in a batch of a process.

        Raises:
            InputError: Images are to be mixed in pairs, and it is odd.
        """
        if self.mix is not None and count % 2:
            raise InputError(f'mixup and cutmix mix images in pairs, but a process has {count} in a batch; '
                             'set total_batch_size to an even number for each process')

    def init_weights(self) -> None:
        """Loads the weights that `init_cfg` names; timm has drawn others where it names none.

        Raises:
            CheckpointError: The checkpoint cannot be read, or does not fit this model but for its head.
        """
        if self.init_cfg is not None:
            report = load_network(self.network, self.init_cfg['checkpoint'])
            MMLogger.get_current_instance().info(f'{type(self).__name__}: loaded {report}')
        self._is_init = True

    def predict_in(self, dtype: str) -> None:
        """Has predictions computed in a type of numbers, a key of `inference.precision.DTYPES`.

        Raises:
            InputError: The device does not have it.
        """
        check_dtype(dtype, next(self.parameters()).device)
        self.dtype = dtype

    def forward(self, inputs: Tensor, labels: Tensor | None = None, img_path: Sequence[str] | None = None,
                mode: str = 'tensor') -> dict | list | tuple:
        """Does what a mode says; see `mmengine.model.BaseModel`.

        Args:
            inputs: (B, 3, H, W), normalised.
            labels: (B) classes; not in the mode `'tensor'`.
            img_path: What the images are called, which does not count.
            mode: `'tensor'` returns the logits (B, K) of each head, `'loss'` the loss of each head, `'predict'` for
                each image its class and the likeliest `TOP` by each head.
        """
        if mode == 'tensor':
            return tuple(head_logits(self.network, inputs).values())
        if mode == 'loss':
            return self.loss(inputs, labels)
        with computing_in(self.dtype, inputs.device):
            logits = head_logits(self.network, inputs)
        likeliest = {head: one.float().topk(min(TOP, self.num_classes)).indices.tolist()
                     for head, one in logits.items()}
        return [{TRUTH: label, RANKS: {head: of_all[number] for head, of_all in likeliest.items()}}
                for number, label in enumerate(labels.tolist())]

    def loss(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Returns the loss of each head, of images (B, 3, H, W) and their classes (B); they are summed for training.

        Raises:
            InputError: Images are to be mixed in pairs, and the batch is odd.
        """
        self.check_batch(len(inputs))
        if self.mix is not None:
            inputs, labels = self.mix(inputs, labels)
        return {f'loss_{head}'.removesuffix('_'): self.criterion(logits.float(), labels)
                for head, logits in head_logits(self.network, inputs).items()}


def _criterion(loss: str, smoothing: float, mixed: bool) -> nn.Module:
    """Returns a loss of timm; the targets of mixed images are smoothed where they are mixed."""
    if loss == 'binary_cross_entropy':
        return BinaryCrossEntropy(smoothing)
    return SoftTargetCrossEntropy() if mixed else LabelSmoothingCrossEntropy(smoothing) if smoothing else (
        torch.nn.CrossEntropyLoss())
