"""optimize: a segmentor made ready for inference: attention fused, in half precision, compiled."""
import contextlib
import itertools
import textwrap
import threading
from collections.abc import Callable, Iterator

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from ..errors import InputError, one_line
from .fused_attention import fuse_self_attention
from .precision import cast_matmuls, check_dtype, computing_in
from .slide_segmentor import SlideSegmentor

MOST_COMPILED = 8  # numbers of windows: powers of two up to 128
_numbers = itertools.count()
# One thread at a time where the process's own state is at stake: TF32 flags on GPUs, the compiler, CUDA graphs' memory.
_turn = threading.RLock()


def optimize(model: SlideSegmentor, dtype: str = 'fp32', compile: bool | dict = False) -> SlideSegmentor:
    """Makes a segmentor ready for inference, in place: it cannot be trained afterwards.

    Attention in the decode head runs fused, and weights are stored in the type that they are used in. Names of weights
    stay, so that checkpoints still load.

    With `compile`, backbone, neck and head become one graph per number of windows: 1, 2, 4, ... up to
    `test_cfg.window_batch`, between which zeros fill the batch up. On a GPU they are CUDA graphs. A number of windows
    is compiled when it first comes up, and then never again. Windows of another size than `test_cfg.crop_size`, as of
    images that are smaller, run uncompiled. In `whole` mode, where every image has a size of its own, one graph
    takes all sizes, without CUDA graphs.

    Args:
        model: The segmentor, with its weights, on the device where it will run.
        dtype: `'fp32'`, `'bf16'` or `'fp16'` (autocast), or `'tf32'` (Nvidia GPUs from Ampere on).
        compile: True, or a dict of options for `torch.compile` in place of `mode='reduce-overhead'`.

    Returns:
        The model.

    Raises:
        InputError: It is no SlideSegmentor, its head predicts in a way of its own, it is optimized already, or the
            device does not have the dtype. The first prediction raises it where PyTorch cannot compile.
    """
    if not is_optimizable(model):
        head = type(getattr(model, 'decode_head', None)).__name__
        raise InputError('can optimize a SlideSegmentor whose decode head predicts by its forward pass and a resize, '
                         f"got {type(model).__name__} with {head}; set model.type='SlideSegmentor' in the config, or "
                         'leave out dtype and compile')
    if isinstance(model.network, FastNetwork):
        raise InputError('this model is optimized already; load it again for other options')
    if compile and getattr(model.backbone, 'varies_tokens', False):
        raise InputError(f'{type(model.backbone).__name__} keeps another number of tokens of each image, for which '
                         'there would be no end of compiling; leave out compile')
    if compile and not model.compilable:
        raise InputError(f'{type(model).__name__} is not compiled; leave out compile')
    device = next(model.parameters()).device
    check_dtype(dtype, device)
    model.eval()
    for part in (model.backbone, getattr(model, 'neck', None), model.decode_head, getattr(model, 'temporal', None)):
        if part is not None:
            cast_matmuls(part, dtype)
            fuse_self_attention(part)
    model.network = FastNetwork(model, dtype, dict(mode='reduce-overhead') if compile is True else compile or None)
    return model


def is_optimizable(model: nn.Module) -> bool:
    """Whether `optimize` takes a model: a SlideSegmentor whose head predicts by its forward pass and a resize."""
    return isinstance(model, SlideSegmentor) and model.is_linear_after_head()


def optimize_if_possible(model: nn.Module, dtype: str = 'fp32', compile: bool | dict = False) -> nn.Module:
    """Optimizes a model, or returns another as it is where neither another dtype nor compilation is asked for."""
    return optimize(model, dtype, compile) if is_optimizable(model) or compile or dtype != 'fp32' else model


class FastNetwork:
    """The network of an optimized segmentor: windows (N, 3, H, W) to logits (N, C, h, w).

    Args:
        segmentor: The segmentor.
        dtype: A key of `precision.DTYPES`.
        options: Options for `torch.compile`; None does not compile.
    """

    def __init__(self, segmentor: SlideSegmentor, dtype: str, options: dict | None):
        self.segmentor, self.dtype, self.options = segmentor, dtype, options
        self._compiled: dict[int | None, Callable[[Tensor], Tensor]] = {}  # by number of windows; None takes any

    def __call__(self, windows: Tensor) -> Tensor:
        """Returns `forward(windows)`."""
        return self.forward(windows)

    def forward(self, windows: Tensor) -> Tensor:
        """Returns the logits; in a compiled model they are a tensor of their own, no graph's memory.

        Threads may share a model: on a GPU, and where it is compiled, they take turns.
        """
        with self.computing(windows.device):
            count = self._graph_size(windows) if self.options else 0
            if count == 0:
                return self._eager(windows)
            given = len(windows)
            if windows.is_inference():  # of another kind to a compiler, which would compile again for it
                windows = windows.clone()
            if count is not None and count > given:
                windows = torch.cat([windows, windows.new_zeros(count - given, *windows.shape[1:])])
            return self._graph(count, windows)[:given]

    @contextlib.contextmanager
    def computing(self, device: torch.device) -> Iterator[None]:
        """A context in which the model computes as it is optimized to, on a device where it may have to wait."""
        alone = _turn if device.type == 'cuda' or self.options else contextlib.nullcontext()
        with alone, torch.inference_mode(False), torch.no_grad(), computing_in(self.dtype, device):
            yield

    def __getstate__(self) -> dict:  # for copies: a graph belongs to one model
        return self.__dict__ | {'_compiled': {}}

    def _eager(self, windows: Tensor) -> Tensor:
        return type(self.segmentor).network(self.segmentor, windows)

    def _graph_size(self, windows: Tensor) -> int | None:
        """Returns how many windows the graph for these takes: None for one that takes any, 0 for no graph."""
        test_cfg, size = self.segmentor.test_cfg, tuple(windows.shape[2:])
        if test_cfg.get('mode', 'whole') == 'whole':
            return None
        if size != tuple(test_cfg['crop_size']):
            return 0
        most, count = self.segmentor.windows_together(size, windows.device), len(windows)
        count = min(1 << (count - 1).bit_length(), max(most, count))
        return count if count in self._compiled or len(self._compiled) < MOST_COMPILED else 0

    def _graph(self, count: int | None, windows: Tensor) -> Tensor:
        """Runs the graph for `count` windows, compiling it if it is new; returns the logits of its own windows."""
        run = self._compiled.get(count)
        if run is not None:
            return self._step(run, windows)
        number = 'any number of' if count is None else count
        size = 'any size' if count is None else '{} x {}'.format(*windows.shape[2:])
        MMLogger.get_current_instance().info(f'Compiling for {number} windows of {size}; this happens once')
        options = self.options if count is not None else {
            key: value for key, value in self.options.items() if key != 'mode'}
        run = torch.compile(with_own_code(self._eager), dynamic=count is None, **options)
        try:
            for _ in range(3 if windows.is_cuda else 1):  # a CUDA graph is recorded by the second call
                logits = self._step(run, windows)
        except Exception as error:  # a compiler, a driver or the model may be what fails
            reason = textwrap.shorten(one_line(error), 300, placeholder=' ...')  # compilers tell pages
            raise InputError(f'PyTorch cannot compile this model here ({reason}); leave out compile, or install what '
                             'it misses: on a CPU a C++ compiler (g++), on a GPU Triton') from error
        self._compiled[count] = run
        return logits

    @staticmethod
    def _step(run: Callable[[Tensor], Tensor], windows: Tensor) -> Tensor:
        if windows.is_cuda:
            torch.compiler.cudagraph_mark_step_begin()
        return run(windows).clone()


def with_own_code(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Returns a function that does the same under a code object of its own.

    PyTorch keeps what it compiled, and counts how often, by code object: graphs of several models or sizes would use
    up one limit (`torch._dynamo.config.recompile_limit`), beyond which it silently compiles no more.
    """
    def run(windows: Tensor) -> Tensor:
        return function(windows)

    run.__code__ = run.__code__.replace(co_name=f'network_{next(_numbers)}')
    return run
