"""Files and folders to write: checked before long work, nothing replaced unasked, there whole or not at all."""
from .claims import claim_file, claim_folder, file_identity, refuse_data_folder, refuse_existing, refuse_inputs
from .paths import NO_ROOM, make_folder, missing_folders, not_written, remove_empty
from .whole import PARTIAL, partial_name, sync, whole_file, whole_folder, write_whole

__all__ = ['NO_ROOM', 'PARTIAL', 'claim_file', 'claim_folder', 'file_identity', 'make_folder', 'missing_folders',
           'not_written', 'partial_name', 'refuse_data_folder', 'refuse_existing', 'refuse_inputs', 'remove_empty',
           'sync', 'whole_file', 'whole_folder', 'write_whole']
