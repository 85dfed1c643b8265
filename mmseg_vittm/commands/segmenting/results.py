"""Results: where labels and overlays of images and videos go, checked before anything is written, and written whole."""
import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from ...errors import InputError, OutputError
from ...inference.prediction import Prediction
from ...outputs import claim_file, claim_folder, file_identity, refuse_existing, refuse_inputs, whole_file, whole_folder
from .media import is_video

FRAME = re.compile(r'\d{6,}\.png')  # names of the label maps of a video's frames


class Results:
    """The results of some inputs in a folder: `overlays/` and `labels/`, nothing replaced unasked.

    A result is named after its input with its ending, so that no two inputs share one, whatever their names:
    `a.jpg` gives `overlays/a.jpg.png` and `labels/a.jpg.png`, a video `a.mp4` gives `overlays/a.mp4.mp4` and, in the
    folder `labels/a.mp4`, a `000000.png` per frame; an image that goes by windows, `a.tif`, gives `overlays/a.tif.png`
    and `labels/a.tif.tif`.

    Args:
        out: The folder.
        overwrite: Replace results of an earlier run.

    Attributes:
        by_windows: The images that go by windows; whoever finds that out adds them.

    Raises:
        OutputError: Nothing can be written there.
    """

    def __init__(self, out: str, overwrite: bool = False):
        if not out:
            raise InputError('the name of the folder for results is empty')
        self.overlays, self.labels, self.overwrite = Path(out) / 'overlays', Path(out) / 'labels', overwrite
        for folder in (self.overlays, self.labels):
            claim_folder(folder)
        self.by_windows: set[Path] = set()
        self._written: dict[tuple[int, int], Path] = {}

    def overlay_of(self, file: Path) -> Path:
        """Returns the overlay of an image or a video."""
        return self.overlays / f'{file.name}{".mp4" if is_video(file) else ".png"}'

    def labels_of(self, file: Path) -> Path:
        """Returns the label map of an image, or the folder of those of a video."""
        ending = '.tif' if file in self.by_windows else '.png'
        return self.labels / (file.name if is_video(file) else f'{file.name}{ending}')

    def claim(self, file: Path) -> None:
        """Checks that the results of an input can be written, as far as that shows; makes nothing.

        Raises:
            OutputError: One cannot, such as for too long a name.
        """
        claim_file(self.overlay_of(file), overwrite=True)
        if is_video(file):
            claim_folder(self.labels_of(file))
            for frame in frames_in(self.labels_of(file)):
                claim_file(frame, overwrite=True)
        else:
            claim_file(self.labels_of(file), overwrite=True)

    def existing(self, file: Path) -> list[Path]:
        """Returns the results of an input that are there already; of a video's frames the first."""
        labels = frames_in(self.labels_of(file))[:1] if is_video(file) else [self.labels_of(file)]
        return [path for path in (self.overlay_of(file), *labels) if os.path.lexists(path)]

    def refuse_inputs(self, files: Iterable[Path], others: Iterable[str | Path] = ()) -> None:
        """Checks that no result takes the place of an input, nor goes into a folder that inputs come from.

        Args:
            files: The images and videos.
            others: Other files that are read, such as the checkpoint.

        Raises:
            InputError: One would.
        """
        files = list(files)
        folders = [self.overlays, self.labels, *(self.labels_of(file) for file in files if is_video(file))]
        ours = {file_identity(folder): folder for folder in folders}
        ours.pop(None, None)
        for parent in {parent for file in files for parent in (file.parent, Path(os.path.realpath(file)).parent)}:
            if (folder := ours.get(file_identity(parent))) is not None:
                raise InputError(f'{parent}: holds inputs, and results would go there ({folder}); give another out=DIR')
        results = [path for file in files for path in (self.overlay_of(file), self.labels_of(file))]
        frames = [frame for file in files if is_video(file) for frame in frames_in(self.labels_of(file))]
        refuse_inputs([*results, *frames], [*files, *others])

    def write_image(self, file: Path, prediction: Prediction, opacity: float) -> None:
        """Writes an image's overlay, with a legend of the classes seen, and its labels.

        Raises:
            OutputError: One could not be written; nothing of it is left.
        """
        with self._places(file) as (overlay, labels), whole_file(overlay) as picture, whole_file(labels) as label:
            Image.fromarray(prediction.overlay(opacity, legend=True)).save(picture)
            Image.fromarray(prediction.labels).save(label)  # of 16 bits where there are more than 256 classes

    @contextlib.contextmanager
    def large(self, file: Path) -> Iterator[tuple[Path, Path]]:
        """Gives where to write the overlay and the labels of an image that goes by windows, there after the block.

        Raises:
            OutputError: They could not be written; what was there before is there still.
        """
        with self._places(file) as (overlay, labels), whole_file(overlay) as picture, whole_file(labels) as label:
            yield picture, label

    @contextlib.contextmanager
    def video(self, file: Path) -> Iterator[tuple[Path, Path]]:
        """Gives where to write a video's overlay and its frames' label maps, both of which are there after the block.

        Raises:
            OutputError: They could not be written; what was there before is there still.
        """
        with self._places(file) as (overlay, labels):
            with whole_file(overlay) as partial, whole_folder(labels, frames_in) as folder:
                yield partial, folder

    @contextlib.contextmanager
    def _places(self, file: Path) -> Iterator[tuple[Path, Path]]:
        """Gives where the results of an input go, which this run has not written to, by whatever names a disk knows."""
        places = self.overlay_of(file), self.labels_of(file)
        for path in places:
            if (other := self._written.get(file_identity(path))) is not None:
                raise OutputError(path, f'on this disk it is the same as {other}', 'rename one of the two inputs')
        refuse_existing(self.existing(file), self.overwrite)
        yield places
        self._written.update({file_identity(path): path for path in places})


def frames_in(folder: Path) -> list[Path]:
    """Returns the label maps of a video's frames that are in a folder, sorted; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if FRAME.fullmatch(path.name))
