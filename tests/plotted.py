"""What tests of plots share: records as the benchmark writes them, and where things are in a figure."""
import json
from itertools import combinations
from pathlib import Path

from matplotlib.text import Text
from tiny_models import ROOT

METAFILES = [ROOT / 'configs' / 'metafile.yaml', ROOT / 'configs' / 'peers' / 'metafile.yaml']
VITTM, VIT, SEGNEXT = 'segmenter_vittm_b_ade20k', 'segmenter_vit_b_ade20k', 'segnext_s_ade20k'
SMALL_VITTM = 'segmenter_vittm_s_ade20k'  # nobody published an mIoU of it  # nobody published an mIoU of it


def record(stem: str = VITTM, **changes) -> dict:
    """What the benchmark writes of a config."""
    return dict(
        config=f'configs/{stem}.py', device='cpu', device_name='A <CPU> & more', threads=2, dtype='fp32', compile=False,
        torch='2.15.0', protocol='predict', source='synthetic', batch_size=1, images=20, image_size=[504, 672],
        windows_per_image=2.0,
        fps=0.5, fps_iqr=[0.48, 0.51], latency_ms_median=2000.0, peak_memory_mb=None,
        stages_ms=dict(backbone=1500.0, head=300.0, post=200.0)) | changes


def write(path: Path, *records: dict) -> str:
    """Writes records as the benchmark does."""
    path.write_text(json.dumps(records))
    return str(path)


def example(folder: Path) -> str:
    """A file of three configs, the last without an mIoU."""
    return write(folder / 'results.json', record(), record(VIT, fps=0.3, fps_iqr=None), record(SMALL_VITTM, fps=1.5))


def texts_of(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def extents(figure, artists) -> list[tuple[float, float, float, float]]:
    return [artist.get_window_extent(figure.canvas.get_renderer()).extents for artist in artists]


def overlapping(artists, boxes) -> list[tuple[str, str]]:
    return [(one.get_text(), other.get_text()) for (one, a), (other, b)
            in combinations(zip(artists, boxes, strict=True), 2) if boxes_overlap(a, b)]
