"""The architectures: presets by name, or sizes of one's own."""
from collections.abc import Sequence

ARCHS = {
    'tiny': dict(embed_dims=192, num_layers=12, num_heads=3, mlp_ratio=4.0),
    'small': dict(embed_dims=384, num_layers=12, num_heads=6, mlp_ratio=4.0),
    'base': dict(embed_dims=768, num_layers=12, num_heads=12, mlp_ratio=4.0),
    'large': dict(embed_dims=1024, num_layers=24, num_heads=16, mlp_ratio=4.0),
}


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raises a ValueError that names the argument, its choices and its value, unless the value is a choice."""
    if value not in choices:
        raise ValueError(f'{name} must be one of {sorted(choices)}, got {value!r}')


def resolve_arch(arch: str | dict) -> dict:
    """Returns `embed_dims, num_layers, num_heads, mlp_ratio` of a preset's name or of a dict of just these."""
    if isinstance(arch, str):
        check_choice('arch', arch, tuple(ARCHS))
        return dict(ARCHS[arch])
    if set(arch) != set(ARCHS['base']):
        raise ValueError(f'arch must be one of {sorted(ARCHS)} or a dict of {sorted(ARCHS["base"])}, '
                         f'got the keys {sorted(arch)}')
    arch = dict(arch)
    if arch['num_heads'] < 1 or arch['embed_dims'] % arch['num_heads']:
        raise ValueError(f'arch: embed_dims must be a multiple of num_heads, got {arch["embed_dims"]} and '
                         f'{arch["num_heads"]}')
    if arch['num_layers'] < 1:
        raise ValueError(f'arch: num_layers must be at least 1, got {arch["num_layers"]}')
    return arch
