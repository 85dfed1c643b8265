"""Files that are whole or not there, after a crash, a kill or a full disk too."""
import re
from collections.abc import Iterable
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from ...errors import CheckpointError, OutputError
from ...outputs import PARTIAL, whole_file


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


def remove_temporaries(folder: str | Path, names: Iterable[str] = ('iter_{}.pth', 'epoch_{}.pth')) -> None:
    """Removes what a killed training left of checkpoints it was writing in a folder, where no other training runs.

    Args:
        folder: The folder, which this process holds; see `lock.hold`.
        names: Templates of the checkpoints' names; what others write there has other names.
    """
    stems = '|'.join(_pattern(Path(name).stem) for name in names)
    left = re.compile(rf'\.({stems}|best_.*|stopped|last_checkpoint)\.[0-9a-f]+{re.escape(PARTIAL)}(\..*)?')
    for path in Path(folder).glob(f'.*{PARTIAL}*'):
        if left.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _pattern(stem: str) -> str:
    """Returns what the names of a template are like in those of temporaries, which are cut: see `partial_name`."""
    before = stem.partition('{')[0]
    return re.escape(before[:20]) + '.*' if len(before) > 20 else re.sub(r'\\{.*?\\}', r'\\d+', re.escape(stem))


@register_backend('AtomicBackend', force=True)
class AtomicBackend(LocalBackend):
    """mmengine's file backend for local disks, writing atomically: `backend_args=dict(backend='AtomicBackend')`."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Writes bytes; see `write_atomically`."""
        write_atomically(filepath, obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Writes text; see `write_atomically`."""
        write_atomically(filepath, obj.encode(encoding))
