"""Images and videos to segment: which files are, and which only look so."""
import os
from pathlib import Path

from ...datasets.image_files import no_file
from ...errors import InputError, one_line

IMAGES = {'.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp'}
RASTERS = {'.vrt', '.jp2', '.img'}  # that are read by windows alone
VIDEOS = {'.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v'}


def is_video(file: Path) -> bool:
    """Tells whether a file is a video, by its ending."""
    return file.suffix.lower() in VIDEOS


def list_media(path: str) -> tuple[list[Path], dict[Path, InputError]]:
    """Lists the images and videos of a folder, or the file.

    Returns:
        The files, sorted; and what has such a name but is no regular file (a pipe, a device, a folder, a link to
        nothing), with the error that says so.

    Raises:
        InputError: It does not exist, is of no known kind, or the folder has none.
    """
    root, kinds = Path(path), IMAGES | RASTERS | VIDEOS
    known = ', '.join(sorted(kinds))
    if not path:
        raise InputError('the path of what to segment is empty')
    if not os.path.isdir(root):
        if (error := no_file(root)) is not None:
            raise error
        if root.suffix.lower() not in kinds:
            raise InputError(f'{root}: not an image or a video by its ending; known are {known}')
        return [root], {}
    try:
        files = sorted(file for file in root.iterdir() if file.suffix.lower() in kinds)
    except OSError as error:
        raise InputError(f'{root}: cannot be listed ({one_line(error)}); make it a readable folder') from error
    if not files:
        raise InputError(f'{root}: no images or videos in this folder ({known})')
    problems = {file: error for file in files if (error := no_file(file)) is not None}
    return [file for file in files if file not in problems], problems
