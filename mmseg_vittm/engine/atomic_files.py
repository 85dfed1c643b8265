"""Files that are whole or not there, after a crash, a kill or a full disk too."""
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from ..errors import CheckpointError, OutputError
from ..outputs import PARTIAL, whole_file


def write_atomically(path: str | Path, data: bytes) -> None:
    """Writes a file so that at every moment either the earlier one or the new one is there, whole.

    When this returns, the file survives a power cut; see `whole_file`.

    Args:
        path: The file; its folder is made where it is missing.
        data: Its content.

    Raises:
        CheckpointError: It could not be written, as on a full disk; nothing is left of it, and an earlier file of
            that name is untouched.
    """
    try:
        with whole_file(path, durable=True) as partial:
            partial.write_bytes(data)
    except OutputError as error:
        raise CheckpointError(
            f'{path}: not saved, {len(data) / 2**20:.1f} MiB could not be written ({error.reason}); what was saved '
            'before is untouched: make room there and go on with resume=True, or choose another work_dir=DIR'
        ) from error


def remove_temporaries(folder: str | Path) -> None:
    """Removes what a killed process left of checkpoints it was writing in a folder."""
    for path in [*Path(folder).glob(f'.*{PARTIAL}.pth'), *Path(folder).glob(f'.last_checkpoint.*{PARTIAL}')]:
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
