"""Every foreign weight file in our names, as one table per family; strict loading; the load report."""
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from ..errors import CheckpointError
from ..vittm.streams import resample_positions
from .files import read_state_dict
from .safe_pickle import shown

# The authors' names (a pattern for the whole name) and ours; None: dropped, for the reason that stands beside it.
AUTHORS_TABLE: tuple[tuple[str, str | None, str], ...] = (
    (r'cls_token|pos_embed|patch_embed\..*', None, 'unused timm ViT embedding'),
    (r'(process|memory)_embedder\.(proj\..*)', r'encoder.\1_stream.\2', ''),
    (r'(process|memory)_pos_embed', r'encoder.\1_stream.pos_embed.weight', ''),
    (r'blocks\.(\d+)\.(.*)', r'encoder.blocks.\1.encoder.\2', ''),
    (r'(read|write)_(norm|head)\.(\d+)\.(.*)', r'encoder.blocks.\3.\1_\2.\4', ''),
    (r'mem_blocks\.(\d+)\.(.*)', r'encoder.blocks.\1.memory_mlp.\2', ''),
    (r'(read|write)_fusion\.linear\.(.*)', r'encoder.\1_fusion.gate.\2', ''),
    (r'process_norm\.(.*)|(?:process_)?head\..*|norm\..*|fc_norm(?:_process)?\..*', None, 'classification only'),
)
# The same where a `ViTTMClassifier` is loaded instead of a backbone.
CLASSIFIER_TABLE: tuple[tuple[str, str | None, str], ...] = (
    *AUTHORS_TABLE[:-1],
    (r'(process_norm\..*)', r'\1', ''),
    (r'fc_norm_process\.(.*)', r'process_fc_norm.\1', ''),
    (r'fc_norm\.(.*)', r'memory_fc_norm.\1', ''),
    (r'(process_head\..*)', r'\1', ''),
    (r'head\.(.*)', r'memory_head.\1', ''),
)
TIMM_VIT_TABLE: tuple[tuple[str, str | None, str], ...] = (
    (r'(cls_token|reg_token|pos_embed|(?:patch_embed|norm_pre|blocks|norm)\..*)', r'vit.\1', ''),
    (r'(?:head|head_dist|fc_norm|pre_logits)\..*', None, 'classification only'),
)
UNUSED_PROJECTION = re.compile(r'(read|write)_head\.(\d+)\.proj\.(weight|bias)')


@dataclass
class LoadReport:
    """What came from where: the one line that a load logs.

    Attributes:
        path: The file.
        source: What kind of file it is, in words.
        tensors: Tensors loaded.
        parameters: Numbers in them.
        resampled: Position embeddings resampled, each `name HxW -> HxW`.
        dropped: Per reason, how many tensors and numbers were dropped.
    """
    path: Path
    source: str
    tensors: int = 0
    parameters: int = 0
    resampled: list[str] = field(default_factory=list)
    dropped: dict[str, list[int]] = field(default_factory=dict)

    def drop(self, why: str, tensor: Tensor) -> None:
        """Counts a tensor as dropped for a reason."""
        count = self.dropped.setdefault(why, [0, 0])
        count[0] += 1
        count[1] += tensor.numel()

    def __str__(self) -> str:
        parts = [f'{self.tensors} tensors ({self.parameters / 1e6:.2f} M parameters) from {self.path} '
                 f'({self.source})']
        if self.resampled:
            parts.append('resampled ' + ', '.join(self.resampled))
        if self.dropped:
            parts.append('dropped ' + ', '.join(f'{tensors} tensors ({numbers / 1e6:.2f} M, {why})'
                                                for why, (tensors, numbers) in self.dropped.items()))
        return '; '.join(parts)


def rename(state: dict[str, Tensor], table: tuple, report: LoadReport) -> dict[str, Tensor]:
    """Renames weights by a table; names in no row are kept, so that the loading refuses them by name."""
    renamed = {}
    for name, tensor in state.items():
        projection = UNUSED_PROJECTION.fullmatch(name)
        if projection and f'{projection[1]}_head.{projection[2]}.q_norm.weight' not in state:
            report.drop('unused projections of the linear heads', tensor)
            continue
        for pattern, ours, why in table:
            if re.fullmatch(pattern, name):
                if ours is None:
                    report.drop(why, tensor)
                else:
                    renamed[re.sub(pattern, ours, name)] = tensor
                break
        else:
            renamed[name] = tensor
    return renamed


def square_grid(path: Path, name: str, num_tokens: int) -> tuple[int, int]:
    """Returns the square grid of so many positions; an error names the file and the weight."""
    side = math.isqrt(num_tokens)
    if side * side != num_tokens:
        raise CheckpointError(f'{path}: {name} holds {num_tokens} positions, which are no square grid and not this '
                              "model's either; set img_size to what the checkpoint was trained at")
    return side, side


def fit_position(name: str, tensor: Tensor, target: Tensor, report: LoadReport) -> Tensor:
    """Resamples a position embedding to the shape of this model's, bicubic and antialiased.

    Ours are (1, H, W, C), the authors' (1, N, C).
    Flat ones are read on this model's grid where their number fits it, else on a square one.
    """
    if target.ndim == 4:
        grid = tuple(target.shape[1:3])
        if tensor.ndim == 3:
            fits = tensor.shape[1] == grid[0] * grid[1]
            tensor = tensor.unflatten(1, grid if fits else square_grid(report.path, name, tensor.shape[1]))
        if tensor.ndim == 4 and tuple(tensor.shape[1:3]) != grid:
            report.resampled.append(f'{name} {tensor.shape[1]}x{tensor.shape[2]} -> {grid[0]}x{grid[1]}')
            tensor = resample_positions(tensor, grid)
    return tensor


def fit_timm_position(grid: tuple[int, int], num_prefix_tokens: int) -> Callable:
    """Returns `fit_position` for timm's (1, prefix + N, C), whose target grid its shape does not tell."""
    def fit(name: str, tensor: Tensor, target: Tensor, report: LoadReport) -> Tensor:
        fits = tensor.shape[1] == target.shape[1]
        if tensor.ndim == 3 and not (fits and (grid[0] == grid[1] or not report.source.startswith('timm'))):
            old = square_grid(report.path, name, tensor.shape[1] - num_prefix_tokens)
            report.resampled.append(f'{name} {old[0]}x{old[1]} -> {grid[0]}x{grid[1]}')
            tensor = resample_abs_pos_embed(tensor, list(grid), list(old), num_prefix_tokens)
        return tensor
    return fit


def select(state: dict[str, Tensor], own_prefix: str, foreign: str, table: tuple, report: LoadReport,
           source: str) -> dict[str, Tensor]:
    """Returns a file's weights under a backbone's own names, by what kind of file it is.

    Args:
        state: The weights as read.
        own_prefix: How every name of the backbone's own weights begins.
        foreign: A name that only the foreign family has.
        table: The foreign family's names.
        report: Takes the kind of file, and what is dropped.
        source: The foreign family in words.

    Raises:
        CheckpointError: The file is none of these.
    """
    if any(name.startswith('backbone.') for name in state):
        report.source = 'MMSegmentation checkpoint'
        kept = {}
        for name, tensor in state.items():
            if name.startswith('backbone.'):
                kept[name.removeprefix('backbone.')] = tensor
            elif re.match(r'(decode_head|auxiliary_head|data_preprocessor)\.', name):
                report.drop(f'{name.split(".")[0]}', tensor)
            else:
                kept[name] = tensor
        return kept
    if all(name.startswith(own_prefix) for name in state):
        report.source = 'our backbone weights'
        return state
    if foreign in state:
        report.source = source
        return rename(state, table, report)
    first = ', '.join(map(shown, list(state)[:4]))
    raise CheckpointError(f'{report.path}: neither {source}, nor our own weights, nor an MMSegmentation checkpoint of '
                          f'this backbone: it has no {foreign!r}, and begins with {first}')


def load_weights(module: nn.Module, state: dict[str, Tensor], report: LoadReport, unbuilt: Iterable[str] = (),
                 fit: Callable = fit_position) -> LoadReport:
    """Copies weights into a module: all of its own, and nothing left over.

    Args:
        module: Takes the weights.
        state: Weights under the module's names.
        report: Takes what was loaded, resampled and dropped.
        unbuilt: Prefixes of names that the module leaves out because nothing would use them.
        fit: Resamples a position embedding.

    Raises:
        CheckpointError: Weights are missing, unexpected, or of another shape; lists them. The module is
            untouched then.
    """
    targets, fitted, shapes, unexpected = module.state_dict(), {}, [], []
    for name, tensor in state.items():
        if name not in targets:
            if name.startswith(tuple(unbuilt)):
                report.drop('for outputs that this model does not give', tensor)
            else:
                unexpected.append(name)
            continue
        if 'pos_embed' in name:
            try:
                tensor = fit(name, tensor, targets[name], report)
            except (IndexError, RuntimeError) as error:  # PyTorch's resampling refuses empty and integer tensors
                if isinstance(error, CheckpointError):
                    raise
                raise CheckpointError(f'{report.path}: {name}, {tensor.dtype} of the shape {tuple(tensor.shape)}, '
                                      'cannot be resampled to the grid of this model') from error
        if tensor.shape != targets[name].shape:
            shapes.append(f'{name} {tuple(tensor.shape)}, here {tuple(targets[name].shape)}')
        elif tensor.is_floating_point() != targets[name].is_floating_point():
            shapes.append(f'{name} {tensor.dtype}, here {targets[name].dtype}')
        fitted[name] = tensor
    missing = [name for name in targets if name not in fitted]
    problems = [f'{title} ({len(names)}): {", ".join(map(shown, names))}' for title, names in
                (('missing', missing), ('unexpected', unexpected), ('of another shape', shapes)) if names]
    if problems:
        raise CheckpointError(f'{report.path} ({report.source}) does not fit this model, nothing was loaded. '
                              f'{"; ".join(problems)}. Give the model the arguments that the checkpoint was trained '
                              'with')
    module.load_state_dict(fitted)
    report.tensors, report.parameters = len(fitted), sum(tensor.numel() for tensor in fitted.values())
    return report


def load_pretrained(module: nn.Module, path: str | Path, own_prefix: str, foreign: str, table: tuple, source: str,
                    unbuilt: Iterable[str] = (), fit: Callable = fit_position) -> LoadReport:
    """Loads a backbone's weights from any file that `select` knows; see there and at `load_weights`."""
    state, wrappers = read_state_dict(path)
    report = LoadReport(Path(path), '')
    state = select(state, own_prefix, foreign, table, report, source)
    if wrappers:
        report.source += f', wrapped as {wrappers}'
    return load_weights(module, state, report, unbuilt, fit=fit)


def load_classifier(classifier: nn.Module, path: str | Path) -> LoadReport:
    """Loads one of the authors' classification checkpoints into a `ViTTMClassifier`."""
    state, wrappers = read_state_dict(path)
    report = LoadReport(Path(path), f"the authors' checkpoint{wrappers and f', wrapped as {wrappers}'}")
    return load_weights(classifier, rename(state, CLASSIFIER_TABLE, report), report)
