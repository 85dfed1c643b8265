"""Strict loading: all of a module's weights, and nothing left over, or the module as it was."""
from collections import OrderedDict
from collections.abc import Callable, Iterable

from torch import Tensor, nn

from ..errors import CheckpointError, one_line, shown
from .finite import check_finite
from .report import LoadReport

SHOWN = 12  # names of a kind that an error lists
Fit = Callable[[str, Tensor, Tensor, LoadReport], Tensor]


def load_weights(module: nn.Module, state: dict[str, Tensor], report: LoadReport, unbuilt: Iterable[str] = (),
                 fit: Fit | None = None, allow_partial: bool | None = None) -> str | None:
    """Copies weights into a module: all of its own, and nothing left over.

    Args:
        module: Takes the weights.
        state: Weights under the module's names.
        report: Takes what was loaded, resampled and dropped.
        unbuilt: Prefixes of names that the module leaves out because nothing would use them.
        fit: Makes a position embedding fit: called with its name, its value, the module's own, and the report.
        allow_partial: Load what fits; None does not offer it as a remedy.

    Returns:
        What does not fit, with `allow_partial`; None where all does.

    Raises:
        CheckpointError: Weights are missing, unexpected, or of another shape or kind of number; says how many, and
            names the first. With `allow_partial`: nothing fits. Some are NaN, infinite, or too large for the module's
            kind of number. The module is untouched then.
    """
    own, fitting, misfits = module.state_dict(), OrderedDict(), {}
    renames = _loads_its_own_way(module)
    check_finite({name: tensor for name, tensor in state.items() if renames or name in own}, report.path, own)
    for name, tensor in state.items():
        if name not in own and name.startswith(tuple(unbuilt)):
            report.drop('for outputs that this model does not give', tensor)
            continue
        if name in own and fit is not None and 'pos_embed' in name:
            tensor = _fitted(fit, name, tensor, own[name], report)
        if name in own and _numbers(tensor) != _numbers(own[name]):
            misfits[name] = f'{name} {_numbers(tensor)}, here {_numbers(own[name])}'
        else:
            fitting[name] = tensor
    if hasattr(state, '_metadata'):
        fitting._metadata = state._metadata  # versions of modules: some rename old weights by them
    before = {name: tensor.detach().clone() for name, tensor in own.items()} if renames else None
    missing, unexpected = [*own.keys() - fitting.keys()], [name for name in fitting if name not in own]
    if before is not None or allow_partial or not (missing or unexpected):
        try:
            missing, unexpected = module.load_state_dict(fitting, strict=False)
        except Exception as error:  # of a module's own way of loading
            module.load_state_dict(before or {}, strict=False)
            raise CheckpointError(f'{report.path} does not fit this model, nothing was loaded: {one_line(error)}'
                                  ) from error
    missing = [name for name in own if name in missing and name not in misfits
               and not name.endswith('num_batches_tracked')]
    groups = (('missing', missing), ('unexpected', unexpected), ('of another shape', [*misfits.values()]))
    problems = '; '.join(f'{title} ({len(names)}): {", ".join(map(shown, names[:SHOWN]))}'
                         f'{", ..." * (len(names) > SHOWN)}' for title, names in groups if names)
    loaded = [tensor for name, tensor in fitting.items() if name not in set(unexpected)]
    if problems and not (allow_partial and loaded):
        module.load_state_dict(before or {}, strict=False)
        remedy = '' if allow_partial is None or allow_partial else ', or allow_partial=True to load what fits'
        nothing = 'nothing in it fits this model' if not loaded else 'does not fit this model, nothing was loaded'
        raise CheckpointError(f'{report.path} ({report.source}): {nothing}. {problems}. Give the config or the '
                              f'arguments that it was trained with{remedy}')
    report.tensors, report.parameters = len(loaded), sum(tensor.numel() for tensor in loaded)
    return problems or None


def _loads_its_own_way(module: nn.Module) -> bool:
    """Tells whether names do not say what fits: a part renames old weights, or adds some, as it loads them."""
    return any(type(part)._load_from_state_dict is not nn.Module._load_from_state_dict
               or part._load_state_dict_pre_hooks for part in module.modules())


def _fitted(fit: Fit, name: str, tensor: Tensor, target: Tensor, report: LoadReport) -> Tensor:
    try:
        return fit(name, tensor, target, report)
    except CheckpointError:
        raise
    except (IndexError, RuntimeError) as error:  # PyTorch's resampling refuses empty and integer tensors
        raise CheckpointError(f'{report.path}: {name}, {tensor.dtype} of the shape {tuple(tensor.shape)}, cannot be '
                              'resampled to the grid of this model') from error


def _numbers(tensor: Tensor) -> str:
    """Returns the shape and the kind of numbers of a tensor, whose precision may differ."""
    kind = '' if tensor.is_floating_point() else 'complex ' if tensor.is_complex() else 'integer '
    return f'{kind}{tuple(tensor.shape)}'
