"""ViTTM's classifiers under names that timm knows: after `import mmseg_vittm.vittm`, `timm.create_model(NAME)`."""
from collections.abc import Mapping
from typing import Any

from timm.models import build_model_with_cfg, generate_default_cfgs, register_model, resolve_pretrained_cfg
from torch import Tensor, nn

from .archs import resolve_arch
from .classifier import ViTTMClassifier
from .encoder import ViTTMEncoder
from .fitting import fit_weights

NO_WEIGHTS = ("no weights are published under the name {name}: give pretrained=False, and a file of weights, the "
              "authors' or your own, as checkpoint_path=FILE")


def build_classifier(arch: str | dict, embed_dim: int | None = None, depth: int | None = None,
                     num_heads: int | None = None, mlp_ratio: float | None = None,
                     img_size: int | tuple[int, int] = 224, in_chans: int = 3, num_classes: int = 1000,
                     head: str = 'memory', global_pool: str = 'avg', drop_rate: float = 0.0,
                     drop_path_rate: float = 0.0, device: Any = None, dtype: Any = None,
                     **encoder_options: Any) -> ViTTMClassifier:
    """Returns a classifier by timm's names of arguments.

    Args:
        arch: A preset of `ViTTMEncoder`, or its dict.
        embed_dim: Another width than the preset's.
        depth: Another number of blocks.
        num_heads: Another number of attention heads.
        mlp_ratio: Another hidden size over width of the blocks' MLP.
        img_size: Input in pixels, for which position embeddings are learned; others are welcome.
        in_chans: Channels of the image.
        num_classes: Number of classes; 0 for none.
        head: `'memory' | 'process' | 'mean' | 'both'`: the logits in evaluation, and the features.
        global_pool: `'avg' | 'max' | 'avgmax' | ''`: how tokens are pooled.
        drop_rate: Drop-out before the linear classifiers.
        drop_path_rate: As `ViTTMEncoder`'s.
        device: Where the weights are to be.
        dtype: Their kind of number.
        encoder_options: Other arguments of `ViTTMEncoder`, such as `memory_patch_size`; it refuses what it does
            not know.
    """
    if type(in_chans) is not int or in_chans < 1:
        raise ValueError(f'in_chans must be a whole number from 1, got {in_chans!r}')
    arch = resolve_arch(arch)
    changes = dict(embed_dims=embed_dim, num_layers=depth, num_heads=num_heads, mlp_ratio=mlp_ratio)
    arch = resolve_arch(arch | {name: value for name, value in changes.items() if value is not None})
    encoder = ViTTMEncoder(arch=arch, img_size=img_size, in_channels=in_chans, drop_path_rate=drop_path_rate,
                           **encoder_options)
    model = ViTTMClassifier(encoder, num_classes, head, global_pool, drop_rate)
    return model.to(device=device, dtype=dtype) if device or dtype else model


def checkpoint_filter_fn(state: Mapping[str, Tensor], model: ViTTMClassifier) -> dict[str, Tensor]:
    """Returns weights as `fit_weights`; timm's tools look for this function by its name.

    Raises:
        RuntimeError: Weights other than the linear classifiers' are missing or too many: timm loads loosely where the
            number of classes differs, or features alone are asked for.
    """
    fitted = fit_weights(state, model)
    heads = tuple(f'{name}.' for name in model.pretrained_cfg['classifier'])
    own, theirs = ({name for name in names if not name.startswith(heads)} for names in (model.state_dict(), fitted))
    if own != theirs:
        problems = [f'{what} in the weights: {", ".join(sorted(names)[:4])}' + ', ...' * (len(names) > 4)
                    for what, names in (('Missing', own - theirs), ('Unexpected', theirs - own)) if names]
        raise RuntimeError('; '.join(problems))
    return fitted


def _cfg() -> dict[str, Any]:
    """Returns what timm keeps of a model's input and classifiers; crop and interpolation as of its AugReg ViTs."""
    return dict(url='', num_classes=1000, input_size=(3, 224, 224), pool_size=None, fixed_input_size=True,
                crop_pct=0.9, interpolation='bicubic', mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
                first_conv=('encoder.process_stream.proj', 'encoder.memory_stream.proj'),
                classifier=('process_head', 'memory_head'),
                paper_name='Token Turing Machines are Efficient Vision Models')


def _create(variant: str, pretrained: bool, model_args: dict[str, Any], changes: dict[str, Any]) -> nn.Module:
    """Returns a classifier or, by timm's `features_only`, its maps."""
    out_indices = changes.pop('out_indices', 3)
    source = resolve_pretrained_cfg(variant, changes.get('pretrained_cfg'), changes.get('pretrained_cfg_overlay'))
    if pretrained and not (source.has_weights or source.state_dict):
        raise RuntimeError(NO_WEIGHTS.format(name=variant))
    return build_model_with_cfg(build_classifier, variant, pretrained, pretrained_filter_fn=checkpoint_filter_fn,
                                feature_cfg=dict(out_indices=out_indices, feature_cls='getter'),
                                **model_args | changes)


default_cfgs = generate_default_cfgs({name: _cfg() for name in (
    'vittm_tiny_patch28_224', 'vittm_small_patch28_224', 'vittm_base_patch28_224', 'vittm_large_patch28_224',
    'vittm_base_patch32_16_224')})


@register_model
def vittm_tiny_patch28_224(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Returns ViTTM-Ti(64, 64)."""
    return _create('vittm_tiny_patch28_224', pretrained, dict(arch='tiny'), kwargs)


@register_model
def vittm_small_patch28_224(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Returns ViTTM-S(64, 64)."""
    return _create('vittm_small_patch28_224', pretrained, dict(arch='small'), kwargs)


@register_model
def vittm_base_patch28_224(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Returns ViTTM-B(64, 64)."""
    return _create('vittm_base_patch28_224', pretrained, dict(arch='base'), kwargs)


@register_model
def vittm_large_patch28_224(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Returns ViTTM-L(64, 64)."""
    return _create('vittm_large_patch28_224', pretrained, dict(arch='large'), kwargs)


@register_model
def vittm_base_patch32_16_224(pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Returns ViTTM-B(49, 196): process patches of 32, memory patches of 16 pixels."""
    return _create('vittm_base_patch32_16_224', pretrained,
                   dict(arch='base', process_patch_size=32, memory_patch_size=16), kwargs)
