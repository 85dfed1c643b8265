"""What tests of plots share: records as the benchmark writes them, and where things are in a figure."""
import json
from itertools import combinations
from pathlib import Path

from matplotlib.text import Text
from tiny_models import ROOT

from mmseg_vittm.measure.plots.points import Point

METAFILES = [ROOT / 'configs' / folder / 'metafile.yaml' for folder in ('', 'peers', 'rivals')]
VITTM, VIT, SEGNEXT = 'segmenter_vittm_b_ade20k', 'segmenter_vit_b_ade20k', 'segnext_s_ade20k'
SMALL_VITTM = 'segmenter_vittm_s_ade20k'  # nobody published an mIoU of it
# Two clouds, with speeds or mIoUs nearly or quite the same, one long name and one wide bar.
CROWD = [
    Point('ViT-B/16', 'ViT', 61.0, 45.65, 'ViTTM paper, Table 6', (58, 63)),
    Point('ViT-B/16, fine-tuned at 384', 'ViT', 61.2, 48.06, 'ViTTM paper, Table 6', (60, 62)),
    Point('ViTTM-B(64, 64)', 'ViTTM', 104, 45.17, 'ViTTM paper, Table 6', (90, 110)),
    Point('ViTTM-B(49, 196)', 'ViTTM', 101, 45.2, None, (99, 103)),
    Point('SegFormer-B2', 'SegFormer', 62.0, 45.6, 'SegFormer paper', (61, 63)),
    Point('SegFormer-B2, 256 wide', 'SegFormer', 103, 45.58, "MMSegmentation's model zoo"),
    Point('SegFormer-B3', 'SegFormer', 60, 45.7, 'SegFormer paper'),
    Point('SegNeXt-B', 'SegNeXt', 102, 45.3, 'SegNeXt paper'),
    Point('SegNeXt-S', 'SegNeXt', 105, 45.4, 'SegNeXt paper'),
    Point('ViT-B/32', 'ViT', 104, 45.35), Point('a_config_with_quite_a_long_stem_ade20k', 'other', 63, 45.4)]
BARS = [('SegFormer-B3', dict(backbone=1190.0, head=929.0, post=10.2)),
        ('ViTTM-S', dict(backbone=11, head=12.3, post=9)),
        ('ViT-B/32', dict(backbone=215.0, head=78.0, post=220.0)), ('half', dict(backbone=100.0, post=40.0))]


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


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two boxes (left, bottom, right, top) have a part in common."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def overlapping(artists, boxes) -> list[tuple[str, str]]:
    return [(one.get_text(), other.get_text()) for (one, a), (other, b)
            in combinations(zip(artists, boxes, strict=True), 2) if overlap(a, b)]
