"""Files that are whole or not there, after a crash, a kill or a full disk too."""
import errno
import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from ..errors import CheckpointError

# What file systems that cannot sync a directory answer.
NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES)


def write_atomically(path: str | Path, data: bytes) -> None:
    """Writes a file so that at every moment either the earlier one or the new one is there, whole.

    A temporary file in the same folder is written and synchronised with the disk, then renamed, then the folder
    is synchronised: when this returns, the file survives a power cut.

    Args:
        path: The file; its folder is made where it is missing.
        data: Its content.

    Raises:
        CheckpointError: It could not be written, as on a full disk; nothing is left of it, and an earlier file of
            that name is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f'.{path.name}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, 'wb') as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise CheckpointError(
            f'{path}: not saved, {len(data) / 2**20:.1f} MiB could not be written ({error.strerror}); what was saved '
            'before is untouched: make room there and go on with resume=True, or choose another work_dir=DIR'
        ) from error


def sync_folder(folder: Path) -> None:
    """Makes renames and deletions in a folder durable, where the file system can."""
    if os.name == 'nt':  # folders cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def remove_temporaries(folder: str | Path) -> None:
    """Removes what a killed process left of checkpoints it was writing in a folder."""
    for path in [*Path(folder).glob('.*.pth.tmp'), *Path(folder).glob('.last_checkpoint.tmp')]:
        path.unlink(missing_ok=True)


@register_backend('AtomicBackend', force=True)
class AtomicBackend(LocalBackend):
    """mmengine's file backend for local disks, writing atomically: `backend_args=dict(backend='AtomicBackend')`."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes; see `write_atomically`."""
        write_atomically(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Writes text; see `write_atomically`."""
        write_atomically(filepath, obj.encode(encoding))
