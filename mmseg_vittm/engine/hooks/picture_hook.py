"""PictureHook: input, truth and prediction side by side, written while validating and testing."""
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import mmcv
import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from PIL import Image

from ...datasets.bands.reading import is_raster, read_preview
from ...outputs import whole_file
from ...visualization.pictures import add_legend, colourise, enlarge, panels
from ..work_dir.earlier_run import PICTURES, make_way
from .image_names import ImageNames

TITLES = ('input', 'truth', 'prediction')


def comparison(data_sample, classes: Sequence[str], palette: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Returns input, truth (where there is one) and prediction with a legend, each (H, W, 3) uint8 RGB.

    Args:
        data_sample: A `SegDataSample` with a prediction and the path of its image.
        classes: Names of the classes.
        palette: One RGB colour per class.
    """
    row = [_picture_of(data_sample.img_path)]
    prediction = data_sample.pred_sem_seg.data.squeeze(0).cpu().numpy()
    shown = prediction
    if 'gt_sem_seg' in data_sample:
        truth = data_sample.gt_sem_seg.data.squeeze(0).cpu().numpy()
        row.append(colourise(truth, palette))
        if truth.shape == prediction.shape:
            shown = np.where(truth >= len(classes), len(classes), prediction)
    row = [enlarge(picture) for picture in (*row, colourise(shown, palette))]
    row[-1] = add_legend(row[-1], prediction, classes, palette)
    return row


def _picture_of(path: str) -> np.ndarray:
    """Returns an image of any bands as RGB of 8 bits."""
    if is_raster(path) and importlib.util.find_spec('rasterio') is not None:
        return read_preview(path)
    return mmcv.imread(path, channel_order='rgb')


@HOOKS.register_module()
class PictureHook(Hook):
    """Writes comparisons of input, truth and prediction.

    Args:
        num_val: Images of each validation in the picture `work_dir/pictures/iter_N.png`; 0 for none. Unlabelled
            pixels are black in truth and prediction.
        show_dir: Folder for a picture of every image tested, named as `datasets.picture_names.name_pictures` says.
            None for none.
        overwrite: Whether those of an earlier test are replaced.
    """

    def __init__(self, num_val: int = 0, show_dir: str | None = None, overwrite: bool = True):
        self.overwrite = overwrite
        self.num_val = num_val
        self.show_dir = show_dir
        self._rows: list[list[np.ndarray]] = []
        self._names = ImageNames()

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                       outputs: Sequence | None = None) -> None:
        """Keeps the first images' comparisons."""
        for data_sample in outputs[:max(0, self.num_val - len(self._rows))]:
            if is_main_process():
                self._rows.append(comparison(data_sample, **self._meta(runner.val_dataloader)))

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Writes what was kept."""
        if self._rows:
            make_way(runner, runner.work_dir, PICTURES)
            path = Path(runner.work_dir) / 'pictures' / f'iter_{runner.iter}.png'
            _write(path, self._rows)
            runner.logger.info(f'Pictures of {len(self._rows)} validation images: {path}')
        self._rows = []

    def before_test(self, runner: Runner) -> None:
        """Finds out what to call the images, and checks that they can be written.

        Raises:
            InputError: See `ImageNames.claim`.
            OutputError: See `ImageNames.claim`.
        """
        if self.show_dir is not None:
            self._names = ImageNames(runner.test_dataloader.dataset)
            self._names.claim(self.show_dir, 'show_dir', self.overwrite)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                        outputs: Sequence | None = None) -> None:
        """Writes one picture per image, named after it."""
        if self.show_dir is None:
            return
        for data_sample in outputs:
            path = Path(self.show_dir) / self._names[data_sample.img_path]
            _write(path, [comparison(data_sample, **self._meta(runner.test_dataloader))])

    @staticmethod
    def _meta(dataloader) -> dict:
        return {key: dataloader.dataset.metainfo[key] for key in ('classes', 'palette')}


def _write(path: Path, rows: list[list[np.ndarray]]) -> None:
    titles = TITLES if len(rows[0]) == len(TITLES) else (TITLES[0], TITLES[-1])
    picture = Image.fromarray(panels(rows, titles))
    with whole_file(path) as partial:
        picture.save(partial)
