"""Weights of a classifier to go on from, strictly but for heads of other classes."""
import re
from pathlib import Path

from torch import Tensor, nn

from ..weights.families import AUTHORS_CLASSIFIER, OUR_CLASSIFIER, WeightFamily, recognise
from ..weights.positions import fit_positions, fit_vit_positions
from ..weights.report import LoadReport
from ..weights.state_dicts import read_state_dict
from ..weights.strict import Fit, load_weights
from .networks import head_prefixes


def load_network(network: nn.Module, path: str | Path) -> LoadReport:
    """Loads a network's weights from a file; a head of another number of classes keeps the network's own weights.

    Position embeddings are resampled to the network's grid. Of a training with averaged weights these are taken.

    Args:
        network: Takes the weights.
        path: A checkpoint of an `ImageClassifier`'s training, the authors', or a state dict of the timm model.

    Returns:
        What was loaded, and which head was not.

    Raises:
        CheckpointError: The file cannot be read, is of no such kind, or does not fit but for the head.
    """
    state, wrappers = read_state_dict(path)
    plain = WeightFamily("timm's state dict", '|'.join(map(re.escape, network.state_dict())), ())
    family = recognise(state, (OUR_CLASSIFIER, AUTHORS_CLASSIFIER, plain), path)
    report = LoadReport(Path(path), f'{family.title}, wrapped as {wrappers}' if wrappers else family.title)
    state, kept = _with_own_heads(network, family.rename(state, report), report)
    load_weights(network, state, report, fit=_fit_for(network, family))
    report.tensors, report.parameters = report.tensors - len(kept), report.parameters - sum(
        state[name].numel() for name in kept)
    return report


def _with_own_heads(network: nn.Module, state: dict[str, Tensor], report: LoadReport
                    ) -> tuple[dict[str, Tensor], list[str]]:
    """Returns weights with the network's own where heads have another number of classes, and the names of these."""
    own, state, kept = network.state_dict(), dict(state), []
    for prefix in head_prefixes(network):
        ours = {name: one.shape for name, one in own.items() if name.startswith(prefix)}
        theirs = {name: state[name].shape for name in ours if name in state}
        classes = {shape[:1] for shape in theirs.values()}
        if len(classes) == 1 and theirs != ours and theirs == {
                name: (*next(iter(classes)), *shape[1:]) for name, shape in ours.items()}:
            (count, ), = classes
            for name in ours:
                report.drop(f'a head of {count} classes, where this model begins one of {ours[name][0]} anew',
                            state[name])
                state[name] = own[name]
            kept += ours
    return state, kept


def _fit_for(network: nn.Module, family: WeightFamily) -> Fit | None:
    """Returns what makes position embeddings fit a network: ViTTM's, or those of timm's ViT."""
    if hasattr(network, 'forward_heads'):
        return fit_positions
    grid = getattr(getattr(network, 'patch_embed', None), 'grid_size', None)
    if grid is None or getattr(network, 'pos_embed', None) is None:
        return None
    prefix = 0 if getattr(network, 'no_embed_class', False) else getattr(network, 'num_prefix_tokens', 0)
    return fit_vit_positions(grid, prefix, family.square_positions)
