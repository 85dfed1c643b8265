"""Results of a stream: where overlays, labels and the report go, whole or in segments; checked beforehand."""
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...errors import InputError
from ...outputs import claim_file, claim_folder, refuse_existing, refuse_inputs, remove_empty
from ..segmenting.results import Results, frames_in


class StreamResults:
    """The results of one stream in a folder, named after it; nothing replaced unasked.

    The stream `NAME` gives the overlay `overlays/NAME.mp4` and, in the folder `labels/NAME`, a `000000.png` per frame;
    in segments `overlays/NAME.0000.mp4` and `labels/NAME.0000`, `NAME.0001` and so on, each with frames from 0 on. The
    report is `NAME.json`.

    Args:
        out: The folder.
        name: The stream's name.
        overlay: Whether overlays are written.
        labels: Whether labels are.
        overwrite: Replace results of an earlier run.

    Raises:
        InputError: No folder is named, or nothing is to be written.
        OutputError: Nothing can be written there.
    """

    def __init__(self, out: str, name: str, overlay: bool = True, labels: bool = True, overwrite: bool = False):
        if not overlay and not labels:
            raise InputError('neither overlays nor labels are to be written; leave one of the two out, not both')
        self._common = Results(out, overwrite)  # its folders are those of images and videos
        self.overlays = self._common.overlays if overlay else None
        self.labels = self._common.labels if labels else None
        self.name, self.overwrite, self.report = name, overwrite, Path(out) / f'{name}.json'
        claim_file(self.report, overwrite=True)
        for number in (None, 0):
            if overlay:
                claim_file(self.overlay_of(number), overwrite=True)
            if labels:
                claim_folder(self.labels_of(number))

    def overlay_of(self, segment: int | None) -> Path | None:
        """Returns the overlay of a segment, or of the whole stream for None; None where there are no overlays."""
        return self.overlays and self.overlays / f'{self._named(segment)}.mp4'

    def labels_of(self, segment: int | None) -> Path | None:
        """Returns the folder of label maps of a segment, or of the whole stream for None; None where there are none."""
        return self.labels and self.labels / self._named(segment)

    def _named(self, segment: int | None) -> str:
        return self.name if segment is None else f'{self.name}.{segment:04d}'

    def check(self, video: Path | None, others: Iterable[str | Path] = ()) -> None:
        """Checks that nothing is there yet, or may be replaced, and that nothing would take an input's place.

        Args:
            video: The video, if the stream is a file.
            others: Other files that are read, such as the checkpoint.

        Raises:
            InputError: Something is, or would.
        """
        there, videos, others = list(self._existing()), [] if video is None else [video], list(others)
        self._common.refuse_inputs(videos, others)
        frames = [frame for path in there for frame in frames_in(path)]
        refuse_inputs([self.report, *there, *frames], [*videos, *others])
        refuse_existing(there, self.overwrite)

    def refuse_existing(self, segment: int | None) -> None:
        """Checks that nobody else has written a segment meanwhile.

        Raises:
            InputError: Somebody has, and it may not be replaced.
        """
        labels = frames_in(self.labels_of(segment))[:1] if self.labels else []
        refuse_existing([*([self.overlay_of(segment)] if self.overlays else []), *labels], self.overwrite)

    def remove_others(self, segments: Iterable[int | None]) -> None:
        """Removes what an earlier run wrote under the stream's name, but for some segments; no file of another name."""
        kept = {self.report}.union(*({self.overlay_of(one), self.labels_of(one)} for one in segments))
        for path in set(self._existing()) - kept:
            for file in frames_in(path) or [path]:
                file.unlink()
            remove_empty([path])

    def _existing(self) -> Iterator[Path]:
        """Yields overlays, folders of labels and the report that an earlier run wrote under the stream's name."""
        name = rf'{re.escape(self.name)}(\.\d{{4,}})?'
        for folder, pattern in ((self.overlays, rf'{name}\.mp4'), (self.labels, name)):
            for path in sorted(folder.iterdir()) if folder and folder.is_dir() else ():
                if re.fullmatch(pattern, path.name) and (folder == self.overlays or frames_in(path)):
                    yield path
        if os.path.lexists(self.report):
            yield self.report
