"""The paper's Tables 1 to 4 and 8 as models to build, with the figures that it prints for them.

Jajal et al., "Token Turing Machines are Efficient Vision Models", WACV 2025: classifiers of 1000 classes at 224 pixels.
GFLOPs are fvcore's at batch 1, latency is milliseconds per batch of 256 on an A100 in float32.
"""
from dataclasses import dataclass, field

import timm
from torch import nn

from ...vittm import ViTTMEncoder
from ...vittm.archs import ARCHS
from ...vittm.classifier import ViTTMClassifier

IMAGE_SIZE = 224
# Side of the patches that give so many tokens at 224 pixels.
PATCH_SIZES = {16: 56, 49: 32, 64: 28, 196: 16, 256: 14}
VITS = {49: ('ViT-B/32', 'vit_base_patch32_224'), 196: ('ViT-B/16', 'vit_base_patch16_224')}


@dataclass(frozen=True)
class Row:
    """A row of one of the paper's tables.

    Attributes:
        table: Its number.
        name: The row, in the table's words.
        gflops: The paper's, for comparison.
        latency_ms: The paper's; None where the table has none.
        top1: The paper's accuracy on ImageNet, percent.
        params_m: The paper's parameters in millions; None where the table has none.
        arguments: `ViTTMEncoder`'s; empty for a plain ViT.
        vit: Name of the plain ViT in timm.
    """
    table: int
    name: str
    gflops: float
    latency_ms: float | None
    top1: float
    params_m: float | None = None
    arguments: dict = field(default_factory=dict)
    vit: str = ''

    def build(self) -> nn.Module:
        """Returns the classifier, with random weights."""
        if self.vit:
            return timm.create_model(self.vit).eval()
        return ViTTMClassifier(ViTTMEncoder(img_size=IMAGE_SIZE, **self.arguments)).eval()

    def dead_parameters(self) -> int:
        """Returns how many weights the authors' model has on top that no output depends on.

        The plain ViT that it is derived from leaves a class token and position embeddings of 197 tokens, and its
        patch embedding where the memory's is another; linear heads have output projections that are never applied.
        """
        if self.vit:
            return 0
        arch = ARCHS[self.arguments['arch']]
        dims, layers = arch['embed_dims'], arch['num_layers']
        embedding = dims * (1 + 197)
        if self.arguments['memory_patch_size'] != 16:
            embedding += dims * (3 * 16 * 16 + 1)
        linear = self.arguments.get('read_write_head', 'linear') == 'linear'
        return embedding + linear * 2 * layers * dims * (dims + 1)


def tokens(process: int, memory: int) -> dict:
    """Returns the patch sizes of so many tokens at 224 pixels."""
    return dict(process_patch_size=PATCH_SIZES[process], memory_patch_size=PATCH_SIZES[memory])


def _table1() -> list[Row]:
    """Heads and fusions: ViTTM-S(49, 196), latent dims = embed dims."""
    gflops = dict(token_summary=1.86, cross=2.92, latent=3.07, linear=2.62)
    top1 = dict(
        erase=dict(token_summary=72.49, cross=3.94, latent=0.33, linear=2.43),
        add=dict(token_summary=75.86, cross=76.26, latent=76.17, linear=76.26),
        add_erase=dict(token_summary=76.26, cross=76.33, latent=75.82, linear=74.74))
    return [Row(1, f'{head} head, {fusion}', gflops[head], None, top1[fusion][head], arguments=dict(
        arch='small', latent_dims=384, read_write_head=head, fusion=fusion, **tokens(49, 196)))
        for head in gflops for fusion in top1]


def _table2() -> list[Row]:
    """Latent dims of the linear head: ViTTM-B(49, 196)."""
    rows = (('d/4', 192, 7.10, 250.7, 78.4), ('d/2', 384, 8.04, 288.9, 78.0), ('d', 768, 9.92, 352.2, 78.3))
    return [Row(2, f'latent dims {name}', gflops, latency, top1, arguments=dict(
        arch='base', latent_dims=dims, **tokens(49, 196))) for name, dims, gflops, latency, top1 in rows]


def _table3() -> list[Row]:
    """Numbers of tokens: ViTTM-B, latent dims = embed dims; plain ViT-B."""
    vits = ((49, 4.37, 138.3, 72.2), (196, 16.87, 527.4, 81.0))
    rows = ((16, 64, 3.39, 125.0, 70.4), (16, 196, 6.37, 248.0, 70.9), (16, 256, 7.72, 298.9, 71.2),
            (49, 64, 6.94, 233.9, 79.4), (49, 196, 9.92, 357.7, 79.3), (49, 256, 11.27, 408.7, 79.8),
            (64, 64, 8.56, 285.3, 80.6), (64, 196, 11.53, 409.0, 80.4), (64, 256, 12.88, 460.0, 80.9))
    return [Row(3, f'{VITS[count][0]}, {count} tokens', gflops, latency, top1, vit=VITS[count][1])
            for count, gflops, latency, top1 in vits] + [
        Row(3, f'ViTTM-B({process}, {memory})', gflops, latency, top1, arguments=dict(
            arch='base', latent_dims=768, **tokens(process, memory)))
        for process, memory, gflops, latency, top1 in rows]


def _table4() -> list[Row]:
    """MLP on the memory stream: ViTTM-B(49, 196), latent dims = embed dims."""
    rows = ((None, 9.92, 358.2, 78.2), (0.5, 11.31, 403.6, 78.3), (1.0, 12.70, 444.9, 78.3), (2.0, 15.47, 525.1, 78.2))
    return [Row(4, 'no memory MLP' if ratio is None else f'memory MLP, r = {ratio}', gflops, latency, top1,
                arguments=dict(arch='base', latent_dims=768, memory_mlp_ratio=ratio, **tokens(49, 196)))
            for ratio, gflops, latency, top1 in rows]


def _table8() -> list[Row]:
    """The final models."""
    rows = (('S', 'small', 64, 64, 33, 1.84, 77.7, 79.2), ('B', 'base', 64, 64, 127, 7.08, 234.1, 82.9),
            ('B', 'base', 49, 196, 125, 7.10, 251.5, 80.9))
    return [Row(8, f'ViTTM-{size}({process}, {memory})', gflops, latency, top1, params, dict(
        arch=arch, **tokens(process, memory)))
        for size, arch, process, memory, params, gflops, latency, top1 in rows]


TABLES = {1: _table1(), 2: _table2(), 3: _table3(), 4: _table4(), 8: _table8()}
TITLES = {number: build.__doc__.rstrip('.') for number, build in
          ((1, _table1), (2, _table2), (3, _table3), (4, _table4), (8, _table8))}
WHY_FEWER = ("Live parameters are fewer than the paper's: its models carry weights on which no output depends (an "
             'output projection in every linear read/write head, never applied; class token, position embeddings and, '
             'where memory patches are not 16 pixels, the patch embedding of the plain ViT they are derived from). '
             'They are dropped here.')
