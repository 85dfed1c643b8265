"""Rebuilding rows of the paper's tables: our parameters, FLOPs and latency beside the paper's."""
import torch
from rich.table import Table
from torch import nn

from ...inference.precision import computing_in
from ...stack import MMLogger
from ..records import number
from .counting import fvcore_multiply_adds
from .paper import TITLES
from .rows import IMAGE_SIZE, Row

MEASURE_SECONDS = 8.0  # per row, at least: the paper's protocol
BASE = 'ViT-B/16'  # the row to which latencies are given as ratios


def latency(model: nn.Module, batch_size: int, device: torch.device,
            image_size: int = IMAGE_SIZE) -> float | None:
    """Returns the median milliseconds of a batch of random images, by the paper's protocol.

    None, with a warning, where the batch does not fit the GPU's memory.
    """
    from torch.utils.benchmark import Timer  # here, because importing it warns where there is no CUDA
    try:
        model, images = model.to(device), torch.randn(
            batch_size, 3, image_size, image_size, device=device)
        with torch.no_grad(), computing_in('fp32', device):
            model(images)
            timer = Timer('model(images)', globals=dict(model=model, images=images),
                          num_threads=torch.get_num_threads())
            return 1000 * timer.blocked_autorange(min_run_time=MEASURE_SECONDS).median
    except torch.OutOfMemoryError:
        MMLogger.get_current_instance().warning(
            f'A batch of {batch_size} does not fit the memory; give a smaller one')
        return None


def rebuild(row: Row, batch_size: int | None, device: torch.device) -> dict:
    """Returns the record of a row: ours beside the paper's.

    Args:
        row: The row.
        batch_size: Images per batch for the latency; None leaves it out.
        device: Where the latency is measured.
    """
    model = row.build().requires_grad_(False)
    macs = fvcore_multiply_adds(model, (1, 3, row.image_size, row.image_size), row.attention)
    parameters = sum(weight.numel() for weight in model.parameters())
    return dict(table=row.table, row=row.name, params_m=parameters / 1e6, gflops=macs / 1e9, gflops_paper=row.gflops,
                attention_counted=row.attention,
                latency_ms=latency(model, batch_size, device, row.image_size) if batch_size else None,
                latency_ms_paper=row.latency_ms, top1_paper=row.top1, params_m_paper=row.params_m,
                params_m_with_dead=(parameters + row.dead_parameters()) / 1e6)


def table(number_of: int, records: list[dict], with_latency: bool) -> Table:
    """Returns one of the paper's tables, ours beside the paper's; latencies also over ViT-B/16's, if it is measured."""
    has_params = any(row['params_m_paper'] for row in records)
    base = next((row for row in records if row['row'].split(',')[0] == BASE and row['latency_ms']), None)
    result = Table(title=f'Table {number_of}: {TITLES[number_of]}', title_justify='left')
    titles = ['M params', *['with dead', 'paper'] * has_params, 'GFLOPs', 'paper', 'difference',
              *['ms'] * with_latency, 'ms, paper', *[f'of {BASE}', 'paper'] * (base is not None), 'top-1, paper']
    result.add_column('row', no_wrap=True)
    for title in titles:
        result.add_column(title, justify='right')
    for row in records:
        params = [f'{row["params_m"]:.1f}']
        if has_params:
            params += [f'{row["params_m_with_dead"]:.1f}', number(row['params_m_paper'])]
        times = [number(row['latency_ms'])] * with_latency + [number(row['latency_ms_paper'])]
        if base is not None:
            times += [number(row[key] and row[key] / base[key]) for key in ('latency_ms', 'latency_ms_paper')]
        gflops = f'{row["gflops"]:.3f}{"*" * row["attention_counted"]}'
        result.add_row(row['row'], *params, gflops, f'{row["gflops_paper"]:.2f}',
                      f'{row["gflops"] - row["gflops_paper"]:+.3f}', *times, f'{row["top1_paper"]:.2f}')
    return result
