"""ViTTMClassifier: image classification with the encoder, as the paper pre-trains it, by timm's conventions."""
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from timm.models._features import feature_take_indices
from torch import Tensor, nn

from .archs import check_choice
from .block import StreamNorm
from .both import Both
from .encoder import ViTTMEncoder, init_linear
from .fitting import fit_weights, keep_own_heads
from .resizing import keep_blocks, resize_encoder
from .streams import concat_maps, tokens_to_map

LOGITS = ('memory', 'process', 'mean', 'both')
POOLS: dict[str, Callable[[Tensor], Tensor]] = {
    'avg': lambda tokens: tokens.mean(dim=1),
    'max': lambda tokens: tokens.amax(dim=1),
    'avgmax': lambda tokens: 0.5 * (tokens.amax(dim=1) + tokens.mean(dim=1)),
    '': lambda tokens: tokens,
}


class ViTTMClassifier(nn.Module):
    """A linear classifier per stream on the mean of its tokens.

    The memory tokens have no norm before the mean, the process tokens have one (`process_norm`): so the
    authors' implementation, which timm's average pooling leaves without a final norm on its own stream.

    In training mode it returns `Both` streams' logits, of which any criterion gives the sum of both heads' losses:
    what the paper minimises, and no weight is without a gradient. In evaluation it returns the logits of `head`.
    `forward_heads` returns both heads' logits in either mode.

    Args:
        encoder: The encoder, built with `write_last=True`.
        num_classes: Number K of classes; 0 for none: pooled and normalised tokens instead of logits.
        head: The logits in evaluation: `'memory'` (which the paper reports), `'process'`, their `'mean'`, or
            `'both'`. It also says which stream's tokens and maps are this model's features.
        global_pool: `'avg' | 'max' | 'avgmax'` over tokens, or `''` for none.
        drop_rate: Drop-out before the linear classifiers.

    Raises:
        ValueError: An argument is out of range, or contradicts another; the message says which.
    """

    def __init__(self, encoder: ViTTMEncoder, num_classes: int = 1000, head: str = 'both', global_pool: str = 'avg',
                 drop_rate: float = 0.0):
        super().__init__()
        if encoder.blocks[-1].write_head is None:
            raise ValueError('ViTTMClassifier classifies both streams: build the encoder with write_last=True')
        check_choice('head', head, LOGITS)
        dims = encoder.embed_dims
        self.num_features = self.head_hidden_size = self.embed_dim = dims  # timm's names
        self.num_prefix_tokens = 0
        self.in_chans = encoder.memory_stream.proj.in_channels
        self._traits = dict(fixed_input_size=bool(encoder._fixes_tokens))  # timm's place for it
        self.inference_head = head
        self.encoder = encoder
        self.process_norm = StreamNorm(dims)
        self.process_fc_norm = StreamNorm(dims)
        self.memory_fc_norm = StreamNorm(dims)
        self.head_drop = nn.Dropout(drop_rate)
        self.process_head = self.memory_head = nn.Identity()
        self.reset_classifier(num_classes, global_pool)

    def forward_features(self, x: Tensor) -> Tensor | Both:
        """Returns tokens after the final norms: those of `head`, or `Both` where both count, as in training.

        Args:
            x: Images (B, in_chans, H, W).

        Returns:
            (B, N, C): N is the number of the stream's tokens. Or `Both`: process (B, Np, C) and memory (B, Nm, C).
        """
        return self._features(*self.encoder(x))

    def forward_head(self, x: Tensor | Both, pre_logits: bool = False) -> Tensor | Both:
        """Returns logits (B, K) of tokens that `forward_features` gave; of `Both` where both count, as in training.

        Args:
            x: Tokens (B, N, C).
            pre_logits: Return the pooled and normalised tokens (B, C) that the linear classifiers take.
        """
        if not isinstance(x, Both):
            if self.inference_head not in ('memory', 'process'):
                raise ValueError(f"head={self.inference_head!r} takes both streams' tokens, of forward_features")
            return self._classify(x, self.inference_head, pre_logits)
        if not self.training and self.inference_head in ('memory', 'process'):
            return self._classify(getattr(x, self.inference_head), self.inference_head, pre_logits)
        both = Both(*(self._classify(tokens, stream, pre_logits) for tokens, stream in zip(x, x._fields, strict=True)))
        if self.training or self.inference_head == 'both':
            return both
        if both.process.shape != both.memory.shape:
            raise ValueError(f"head='mean' with global_pool='' has no mean of {both.process.shape[1]} process and "
                             f"{both.memory.shape[1]} memory tokens; use another pooling, or head='both'")
        return 0.5 * (both.process + both.memory)

    def forward(self, x: Tensor) -> Tensor | Both:
        """Returns logits (B, K) of images (B, in_chans, H, W); in training, and for `head='both'`, of `Both` heads."""
        return self.forward_head(self.forward_features(x))

    def forward_tokens(self, images: Tensor) -> Both:
        """Returns process (B, Np, C) and memory (B, Nm, C) tokens after the final norms of images (B, 3, H, W)."""
        process, memory = self.encoder(images)
        return Both(self.process_norm(process), memory)

    def forward_heads(self, x: Tensor) -> Both:
        """Returns (process, memory) logits, each (B, K), of images (B, in_chans, H, W), in training and evaluation."""
        process, memory = self.forward_tokens(x)
        return Both(self._classify(process, 'process'), self._classify(memory, 'memory'))

    def _features(self, process: Tensor, memory: Tensor | None) -> Tensor | Both:
        """Returns the tokens that this mode and `head` ask for, after the final norms."""
        if self.training or self._needs_both:
            return Both(self.process_norm(process), memory)
        return memory if self.inference_head == 'memory' else self.process_norm(process)

    def _classify(self, tokens: Tensor, stream: str, pre_logits: bool = False) -> Tensor:
        """Returns one stream's logits (B, K), or what its linear classifier takes, (B, C)."""
        norm, classifier = getattr(self, f'{stream}_fc_norm'), getattr(self, f'{stream}_head')
        pooled = self.head_drop(norm(POOLS[self.global_pool](tokens)))
        return pooled if pre_logits else classifier(pooled)

    @property
    def _needs_both(self) -> bool:
        return self.inference_head in ('mean', 'both')

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """What timm asks of feature maps: one per block, its channels, and pixels per cell."""
        grids = self.encoder.grids(*self.encoder.img_size)
        grid = tuple(map(max, *grids)) if self._needs_both else grids[Both._fields.index(self.inference_head)]
        padded = self.encoder._padded_size(*self.encoder.img_size)
        reduction = max(-(-side // cells) for side, cells in zip(padded, grid, strict=True))
        return [dict(module=f'encoder.blocks.{i}', num_chs=self.embed_dim * (1 + self._needs_both),
                     reduction=reduction) for i in range(len(self.encoder.blocks))]

    def forward_intermediates(self, x: Tensor, indices: int | Sequence[int] | None = None,
                              return_prefix_tokens: bool = False, norm: bool = False, stop_early: bool = False,
                              output_fmt: str = 'NCHW', intermediates_only: bool = False,
                              output_dict: bool = False) -> Any:
        """Returns the features after some blocks: of the stream of `head`, or of both, concatenated on channels.

        Args:
            x: Images (B, in_chans, H, W).
            indices: Blocks: the last n for an integer, all for None; negative ones count from the end.
            return_prefix_tokens: Ignored: there are none.
            norm: Apply the process stream's final norm. The memory stream has none.
            stop_early: Run no block after the last of `indices`; the final features are that block's then.
            output_fmt: `'NCHW'`, maps, or `'NLC'`, tokens.
            intermediates_only: Leave out the final features.
            output_dict: Return a dict of `image_intermediates` and `image_features`.

        Returns:
            The final features, as `forward_features`, and the list of maps (B, C, h, w) or tokens (B, N, C).
        """
        check_choice('output_fmt', output_fmt, ('NCHW', 'NLC'))
        num_blocks = len(self.encoder.blocks)
        wanted = sorted(set(feature_take_indices(num_blocks, indices)[0]))
        run = wanted if stop_early or intermediates_only else sorted({*wanted, num_blocks - 1})
        grids = self.encoder.grids(*x.shape[2:])
        streams = self.encoder.intermediates(x, run)
        maps = [self._map(process, memory, grids, norm) for i, (process, memory) in zip(run, streams, strict=True)
                if i in wanted]
        if output_fmt == 'NLC':
            maps = [one.flatten(2).transpose(1, 2) for one in maps]
        if intermediates_only and not output_dict:
            return maps
        final = {} if intermediates_only else dict(image_features=self._features(*streams[-1]))
        return dict(image_intermediates=maps, **final) if output_dict else (final['image_features'], maps)

    def _map(self, process: Tensor, memory: Tensor | None, grids: Sequence[tuple[int, int]], norm: bool) -> Tensor:
        """Returns the map (B, C, h, w) of one block's streams; `grids` are the process and the memory tokens'."""
        if self.inference_head == 'memory':
            return tokens_to_map(memory, grids[1]).contiguous()
        process = tokens_to_map(self.process_norm(process) if norm else process, grids[0])
        return concat_maps(process, tokens_to_map(memory, grids[1])) if self._needs_both else process.contiguous()

    def prune_intermediate_layers(self, indices: int | Sequence[int] = 1, prune_norm: bool = False,
                                  prune_head: bool = True) -> list[int]:
        """Leaves out the blocks, the norm and the classifiers that features after some blocks do not need.

        Args:
            indices: Blocks, as in `forward_intermediates`.
            prune_norm: Leave out the process stream's final norm.
            prune_head: Leave out what comes after the encoder.

        Returns:
            The indices, none of them negative.
        """
        wanted, last = feature_take_indices(len(self.encoder.blocks), indices)
        keep_blocks(self.encoder, last + 1, write_last=self.inference_head != 'process' or not prune_head)
        if prune_norm or (prune_head and self.inference_head == 'memory'):
            self.process_norm = nn.Identity()
        if prune_head:
            self.process_fc_norm = self.memory_fc_norm = nn.Identity()
            self.reset_classifier(0, '')
        return wanted

    @torch.jit.ignore
    def get_classifier(self) -> tuple[nn.Module, nn.Module]:
        """Returns the (process, memory) linear classifiers."""
        return self.process_head, self.memory_head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replaces the linear classifiers by new ones.

        Args:
            num_classes: Number of classes; 0 for none.
            global_pool: As in the constructor; None keeps it.
        """
        if not (type(num_classes) is int and num_classes >= 0):
            raise ValueError(f'num_classes must be 0 or a positive integer, got {num_classes!r}')
        if global_pool is not None:
            check_choice('global_pool', global_pool, tuple(POOLS))
            self.global_pool = global_pool
        self.num_classes = num_classes
        weight = self.encoder.memory_stream.proj.weight
        for stream in Both._fields:
            classifier = nn.Identity()
            if num_classes:
                classifier = nn.Linear(self.embed_dim, num_classes, device=weight.device, dtype=weight.dtype)
                init_linear(classifier)
            setattr(self, f'{stream}_head', classifier.train(self.training))

    def set_input_size(self, img_size: int | tuple[int, int] | None = None,
                       patch_size: int | tuple[int, int] | None = None) -> None:
        """Makes the model one of another input size or patch size: resamples position and patch embeddings.

        Args:
            img_size: Input in pixels; None keeps it.
            patch_size: Side of both streams' patches in pixels; None keeps them.
        """
        resize_encoder(self.encoder, img_size, patch_size)
        changed = dict(img_size=self.encoder.img_size, process_patch_size=self.encoder.process_patch_size,
                       memory_patch_size=self.encoder.memory_patch_size)
        self._traits = dict(self._traits, img_size=self.encoder.img_size)  # where timm looks for them
        self._model_args = dict(getattr(self, '_model_args', {}), **changed)

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recomputes each block in the backward pass instead of storing it: less memory, more time."""
        self.encoder.with_cp = enable

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        """Returns the names of weights that timm's optimizers do not decay, besides biases and norms."""
        return {name for name, _ in self.named_parameters() if name.endswith(('pos_embed.weight', '_stream.tokens'))}

    @torch.jit.ignore
    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Returns the patterns of names by which timm groups weights into layers, as for layer-wise decay."""
        return dict(stem=r'^encoder\.(?:process|memory)_stream',
                    blocks=[(r'^encoder\.blocks\.(\d+)', None),
                            (r'^encoder\.(?:read|write)_fusion|^process_norm', (99999,))])

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Loads weights under our names or the authors'; position and patch embeddings are resampled where they differ.

        Classifiers of another number of classes are left out, with a warning, and stay as they are here.
        """
        return super().load_state_dict(keep_own_heads(fit_weights(state_dict, self), self), strict, assign)
