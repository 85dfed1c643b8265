"""The paper's Tables 1 to 5 and 8 as models to build, with the figures that it prints for them.

Jajal et al., "Token Turing Machines are Efficient Vision Models", WACV 2025: classifiers of 1000 classes at 224 pixels.
GFLOPs are fvcore's at batch 1, latency is milliseconds per batch of 256 on an A100 in float32.
"""
from .comparison import table5, table8
from .rows import Row, tokens

VITS = {49: ('ViT-B/32', 'vit_base_patch32_224'), 196: ('ViT-B/16', 'vit_base_patch16_224')}


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


_BUILDERS = {1: _table1, 2: _table2, 3: _table3, 4: _table4, 5: table5, 8: table8}
TABLES = {number: build() for number, build in _BUILDERS.items()}
TITLES = {number: build.__doc__.rstrip('.') for number, build in _BUILDERS.items()}
WHY_FEWER = ("ViTTM's live parameters are fewer than the paper's: its models carry weights on which no output depends "
             '(an output projection in every linear read/write head, never applied; class token, position embeddings '
             'and, where memory patches are not 16 pixels, the patch embedding of the plain ViT that they come from). '
             'They are dropped here.')
