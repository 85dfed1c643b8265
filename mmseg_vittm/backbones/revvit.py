"""RevViT: a Vision Transformer of reversible blocks, which trains in memory that does not grow with depth."""
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from ..stack import MODELS
from ..vittm import resolve_arch
from ..vittm.block import StreamNorm
from ..vittm.encoder import init_linear
from ..vittm.streams import Grid, PatchStream, to_pair, tokens_to_map
from ..weights.families import OUR_REVVIT, WHOLE_MODEL
from ..weights.pretrained import LoadReport, load_pretrained
from ..weights.warm_start.pending import Pending
from ..weights.warm_start.source import ViTWeights
from .base import ONLY_VITS, PretrainedBackbone, resolve_indices
from .reversible import ReversibleBlock, run_blocks, run_reversibly


@MODELS.register_module()
class RevViT(PretrainedBackbone):
    """The Reversible Vision Transformer (Mangalam et al., CVPR 2022): training memory that does not grow with depth.

    Both residual streams begin as the patch embedding plus position embedding, without a class token, and a map is
    both, concatenated on channels. Inputs of any size: padded with zeros right and bottom to whole patches,
    position embeddings resampled (bicubic, antialiased). Blocks after the last output are not built, and the final
    norm, of both streams together, only where the last block of the model is an output.

    In training the activations of each run of blocks from one output to the next are recomputed from its end, by
    `run_reversibly`, which costs another forward pass and loses nothing to inversion. In evaluation, and without
    gradients, the same equations run plainly. Streams are float64 in the former, float32 in the latter, under
    autocast too.

    Args:
        arch: `'tiny' | 'small' | 'base' | 'large'`, or a dict of `embed_dims, num_layers, num_heads, mlp_ratio`.
        img_size: Input in pixels, an int or (height, width), for which position embeddings are learned.
        patch_size: Side of a patch in pixels, an int or (height, width).
        in_channels: Channels of the image.
        out_indices: Blocks after which maps are taken, ascending; negative ones count from the end. The map
            of the last block is taken after the final norm.
        drop_path_rate: Stochastic depth of the last block of `arch`; earlier ones have linearly less.
        reversible: False stores activations as other backbones do: the same numbers but for rounding, more memory,
            less time.
        frozen_layers: -1 for none, n for the embedding and the first n blocks.
        init_cfg: `dict(type='Pretrained', checkpoint=PATH)` loads, strictly, our own backbone weights or an
            MMSegmentation checkpoint with this backbone, `.pth` or `.safetensors`.

    Raises:
        ValueError: An argument is out of range; the message says which.
    """

    def __init__(self, *,
                 arch: str | dict = 'base',
                 img_size: int | tuple[int, int] = 224,
                 patch_size: int | tuple[int, int] = 16,
                 in_channels: int = 3,
                 out_indices: int | Sequence[int] = (-1, ),
                 drop_path_rate: float = 0.0,
                 reversible: bool = True,
                 frozen_layers: int = -1,
                 init_cfg: dict | list | None = None):
        super().__init__(frozen_layers, init_cfg)
        arch = resolve_arch(arch)
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f'drop_path_rate must be in [0, 1), got {drop_path_rate}')
        dims, depth = self.arch_width, self.arch_layers = arch['embed_dims'], arch['num_layers']
        self.out_indices = resolve_indices(out_indices, depth)
        self.final_norm = self.out_indices[-1] == depth - 1
        self.patch_size, self.reversible = to_pair(patch_size, 'patch_size'), reversible
        self.patch_stream = PatchStream(self.patch_size, in_channels, dims, self._grid(to_pair(img_size, 'img_size')))
        self.layers = nn.ModuleList(
            ReversibleBlock(dims, arch['num_heads'], arch['mlp_ratio'], qkv_bias=True, norm_layer=StreamNorm,
                            drop_path=drop_path_rate * i / max(depth - 1, 1))
            for i in range(self.out_indices[-1] + 1))
        self.norm = StreamNorm(2 * dims) if self.final_norm else nn.Identity()
        self.apply(init_linear)
        self._freeze()

    def _grid(self, size: Sequence[int]) -> Grid:
        """Returns the (H, W) of the tokens of images of this (height, width) in pixels."""
        return tuple(-(-side // patch) for side, patch in zip(size, self.patch_size, strict=True))

    def embeddings(self) -> list[nn.Module]:
        """Returns the patch and position embedding."""
        return [self.patch_stream]

    def blocks(self) -> nn.ModuleList:
        """Returns the reversible blocks."""
        return self.layers

    def load_pretrained(self, path: str) -> LoadReport:
        """Loads a checkpoint strictly: our own backbone weights or a whole model's; see there."""
        unbuilt = [f'layers.{i}.' for i in range(len(self.layers), self.arch_layers)]
        unbuilt += ['norm.'] * (not self.final_norm)
        return load_pretrained(self, path, (WHOLE_MODEL, OUR_REVVIT), unbuilt)

    def take_vit(self, source: ViTWeights, report: LoadReport, calibration: str) -> Pending:
        """Refuses a ViT's weights: blocks of two streams compute something else with them.

        Raises:
            InputError: Always.
        """
        raise InputError(f'{ONLY_VITS}: RevViT adds its branches to two streams, for which the weights of a ViT '
                         f"({report.path}) were not trained; it begins at random, or from a RevViT's own weights by "
                         "init_cfg type='Pretrained'")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Returns one map (B, 2C, h, w) of both streams per index of `out_indices`, of images (B, in_channels, H, W).

        Raises:
            ValueError: It is to train reversibly on a device other than CPU and CUDA.
        """
        grid = self._grid(images.shape[2:])
        bottom, right = (-side % patch for side, patch in zip(images.shape[2:], self.patch_size, strict=True))
        if bottom or right:  # padding by nothing copies too
            images = F.pad(images, (0, right, 0, bottom))
        x1 = x2 = self.patch_stream(images)  # (B, N, C), float32 under autocast, since positions are
        reversible = self.reversible and self.training and torch.is_grad_enabled()
        if reversible and x1.device.type not in ('cpu', 'cuda'):
            raise ValueError('reversible=True trains on CPU and CUDA, where it can draw the same random numbers again, '
                             f'got images on {x1.device.type}; train there, or with reversible=False')
        run, maps = run_reversibly if reversible else run_blocks, []
        # Frozen blocks form a run of their own: nothing of it is recomputed unless the images' gradient is wanted.
        ends = sorted({0, max(self.frozen_layers, 0), *(index + 1 for index in self.out_indices)})
        for start, end in pairwise(ends):
            x1, x2 = run(self.layers[start:end], x1, x2)
            if end - 1 in self.out_indices:
                tokens = torch.cat([x1, x2], dim=2)
                tokens = self.norm(tokens) if end == self.arch_layers else tokens
                maps.append(tokens_to_map(tokens, grid).contiguous())
        return tuple(maps)
