"""Weights of files on a model of another input size, patch size or number of classes, as timm's loading fits them."""
import logging
import re
from collections import OrderedDict
from collections.abc import Mapping

from timm.layers import resample_patch_embed
from torch import Tensor, nn

from .names import AUTHORS_CLASSIFIER, AUTHORS_ENCODER, AUTHORS_MARK, rename
from .streams import lay_out_positions, resample_positions

_CLASSIFIER = re.compile(r'(process|memory)_head\.(weight|bias)')
TRAINED = 'network.'  # how names begin in checkpoints of our own training of classifiers
_logger = logging.getLogger(__name__)


def fit_weights(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Returns a classifier's weights under our names and in its shapes, where that is a matter of resampling.

    The authors' names are renamed by the one table (`names`), and what their files carry unused is dropped.
    Position embeddings are resampled to the model's grid, bicubic and antialiased, patch embeddings to its patch size
    (timm's pseudo-inverse resize): each with a warning that names it. What else differs stays, for strict loading
    to refuse it. timm calls this function `checkpoint_filter_fn`.

    Args:
        state: Weights by name: ours or the authors'.
        model: The `ViTTMClassifier` that they are for.

    Raises:
        ValueError: Flat position embeddings are of no square grid, nor of this model's.
    """
    own = {name: weight.shape for name, weight in model.state_dict().items()}
    fitted = OrderedDict(state)
    if fitted and all(name.startswith(TRAINED) for name in fitted):
        fitted = OrderedDict((name.removeprefix(TRAINED), tensor) for name, tensor in fitted.items())
    if AUTHORS_MARK in fitted:
        fitted.pop('n_averaged', None)  # of an AveragedModel
        fitted = OrderedDict(rename(fitted, (*AUTHORS_ENCODER, *AUTHORS_CLASSIFIER), _ignore))
    for name, tensor in fitted.items():
        if name in own and tensor.shape != own[name]:
            fitted[name] = _fitted(name, tensor, own[name])
    if hasattr(state, '_metadata'):
        fitted._metadata = state._metadata  # versions of modules: some rename old weights by them
    return fitted


def _ignore(why: str, tensor: Tensor) -> None:
    """Takes note of a dropped weight: not at all, since the reasons are the table's."""


def _fitted(name: str, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Returns a weight in the model's shape, where it is a position or patch embedding of another grid or patch."""
    if name.endswith('pos_embed.weight') and tensor.ndim in (3, 4) and tensor.shape[-1] == shape[-1]:
        grid = tuple(shape[1:3])
        try:
            positions = lay_out_positions(tensor, grid) if tensor.ndim == 3 else tensor
        except ValueError as error:
            raise ValueError(f'{name} {error}') from error
        if tuple(positions.shape[1:3]) != grid:
            _logger.warning('%s is resampled from %sx%s to %sx%s', name, *positions.shape[1:3], *grid)
        return resample_positions(positions, grid)
    if name.endswith('_stream.proj.weight') and tensor.ndim == 4 and tensor.shape[:2] == shape[:2]:
        _logger.warning('%s is resampled from patches of %sx%s to %sx%s pixels', name, *tensor.shape[2:], *shape[2:])
        return resample_patch_embed(tensor, list(shape[2:]))
    return tensor


def keep_own_heads(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Returns weights for a model of another number of classes: its own linear classifiers instead of theirs.

    As timm does where it loads pretrained weights: with a warning. Weights whose classifiers fit are returned as
    they are, and so are those with a single classifier, which strict loading refuses.

    Args:
        state: Weights under our names.
        model: The `ViTTMClassifier` that they are for.
    """
    theirs = {name: tensor for name, tensor in state.items() if _CLASSIFIER.fullmatch(name)}
    classes = {len(tensor) for tensor in theirs.values()}
    if len(theirs) != 4 or len(classes) != 1 or classes == {model.num_classes}:
        return state
    _logger.warning('The classifiers of %s classes are left out: this model has %s, and keeps its own weights there',
                    *classes, model.num_classes or 'none')
    own = {name: tensor for name, tensor in model.state_dict().items() if _CLASSIFIER.fullmatch(name)}
    kept = OrderedDict((name, tensor) for name, tensor in state.items() if name not in theirs)
    kept.update(own)
    if hasattr(state, '_metadata'):
        kept._metadata = state._metadata
    return kept
