"""Zip archives as torch.save writes them, checked before they are read."""
import zipfile
from typing import BinaryIO

from ..errors import CheckpointError, shown

LARGEST_DIRECTORY = 2**24  # bytes that list the records of an archive: over 100,000 of them


def check_archive(file: BinaryIO) -> None:
    """Compares the checksums of a zip archive, as torch does not, and refuses records that unpack to more.

    Raises:
        CheckpointError: It is incomplete, damaged, or no archive of torch.save.
    """
    size, end = file.seek(0, 2), ()
    try:
        end = zipfile._EndRecData(file)
        if end and end[zipfile._ECD_SIZE] > LARGEST_DIRECTORY:
            raise CheckpointError('it lists more records than any checkpoint has: it is damaged')
        with zipfile.ZipFile(file) as archive:
            _check_records(archive, size)
    except zipfile.BadZipFile as error:
        raise CheckpointError('its end is missing: it is damaged (a download or copy that was cut short?)'
                              if end is None else f'it is damaged ({shown(str(error))})') from error


def _check_records(archive: zipfile.ZipFile, size: int) -> None:
    records = archive.infolist()
    names = {record.filename.partition('/')[2] for record in records}
    if 'constants.pkl' in names:
        raise CheckpointError('it is a TorchScript program (of torch.jit.save), no checkpoint; save the state_dict() '
                              'of its model by torch.save')
    if 'data.pkl' not in names:
        raise CheckpointError('it is a zip archive, but not of torch.save: it has no data.pkl')
    if any(record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size
           for record in records) or len({record.filename for record in records}) < len(records):
        raise CheckpointError('it is a zip archive, but not as torch.save writes them')
    if sum(record.file_size for record in records) > size:
        raise CheckpointError('records in it are larger than the file: it is damaged')
    broken = archive.testzip()
    if broken is not None:
        raise CheckpointError(f'the checksum of {shown(broken)} in it is wrong: it is damaged (or was saved '
                              'without checksums)')
