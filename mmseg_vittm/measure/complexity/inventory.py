"""What a config's backbone and segmentor consist of and cost: parameters, FLOPs, activations."""
from mmengine.config import Config
from rich.table import Table

from ..segmentors import build_segmentor
from .counting import (
    count_activations,
    count_parameters,
    fvcore_multiply_adds,
    multiply_adds,
    parameters_by_group,
    varies_with_image,
)


def count_parts(path: str, cfg: Config, size: tuple[int, int]) -> tuple[list[dict], Table]:
    """Counts a config's backbone and segmentor for one input.

    Args:
        path: The config as the user named it.
        cfg: The config.
        size: The input's height and width in pixels.

    Returns:
        A record each of backbone and segmentor (`gflops` with attention, `gflops_fvcore` by the paper's protocol,
        both 1e9 multiply-adds; parameters and activations in millions; `varies_with_image` where they were counted on
        noise), and a table of their groups of modules.
    """
    model = build_segmentor(cfg)
    shape = (1, (cfg.model.get('backbone') or {}).get('in_channels', 3), *size)
    table = Table('modules', title=f'{path} at {size[0]} x {size[1]}, one input', title_justify='left')
    for title in ('parameters', 'share', 'GFLOPs'):
        table.add_column(title, justify='right')
    total, by_group = multiply_adds(model, shape)
    parameters, seen = count_parameters(model), 0
    for group, count in parameters_by_group(model).items():
        seen += by_group.get(group, 0)
        table.add_row(group, f'{count:,}', f'{100 * count / parameters:.1f}%', f'{by_group.get(group, 0) / 1e9:.3f}')
    table.add_row('matmuls outside of these modules', '', '', f'{max(0, total - seen) / 1e9:.3f}')
    records = []
    for part, module in (('backbone', model.backbone), ('segmentor', model)):
        macs = total if module is model else multiply_adds(module, shape)[0]
        records.append(dict(
            config=path, part=part, image_size=list(size), params_m=count_parameters(module) / 1e6, gflops=macs / 1e9,
            gflops_fvcore=fvcore_multiply_adds(module, shape) / 1e9,
            activations_m=count_activations(module, shape) / 1e6, varies_with_image=varies_with_image(module)))
    return records, table


def summary(records: list[dict]) -> Table:
    """Returns a table of the records of backbone and segmentor."""
    table = Table('part')
    for title in ('M parameters', 'GFLOPs', "GFLOPs, fvcore's", 'M activations'):
        table.add_column(title, justify='right')
    for row in records:
        table.add_row(row['part'], f'{row["params_m"]:.2f}', f'{row["gflops"]:.2f}', f'{row["gflops_fvcore"]:.2f}',
                      f'{row["activations_m"]:.2f}')
    return table
