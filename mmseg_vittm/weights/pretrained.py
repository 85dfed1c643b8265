"""Pretrained weights of backbones, from files of every family, strictly."""
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from torch import nn

from .channels import fit_channels
from .families import WeightFamily, recognise
from .positions import fit_positions
from .report import LoadReport
from .state_dicts import read_state_dict
from .strict import Fit, load_weights


def load_pretrained(module: nn.Module, path: str | Path, families: Sequence[WeightFamily], unbuilt: Iterable[str] = (),
                    fit_for: Callable[[WeightFamily], Fit] = lambda family: fit_positions) -> LoadReport:
    """Loads a module's weights from a file of one of some families.

    A patch embedding of RGB images is made to fit a module for images of other bands, see `channels.fit_channels`.

    Args:
        module: Takes the weights.
        path: The file.
        families: Those that the module takes; the first that the file is of counts.
        unbuilt: Prefixes of names that the module leaves out because nothing would use them.
        fit_for: Returns what makes a family's position embeddings fit the module.

    Raises:
        CheckpointError: The file cannot be read, is of no such family, or does not fit exactly; nothing is loaded then.
    """
    state, wrappers = read_state_dict(path)
    family = recognise(state, families, path)
    report = LoadReport(Path(path), f'{family.title}, wrapped as {wrappers}' if wrappers else family.title)
    state, own = family.rename(state, report), module.state_dict()
    for name, tensor in state.items():
        if name in own and own[name].ndim == 4 and own[name].shape[2:] == tensor.shape[2:]:
            state[name] = fit_channels(name, tensor, own[name].shape[1], report)
    load_weights(module, state, report, unbuilt, fit_for(family))
    return report
