"""Errors: one line, between processes too."""
import pickle

from mmseg_vittm.errors import DataError


def test_error_keeps_its_parts_between_processes():
    error = DataError('a\nb.png', 'bad', 'mend it')
    assert str(error) == 'a\\nb.png: bad; mend it'
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.problem) == (str(error), 'bad')
    rebuilt = DataError(f'Caught DataError in DataLoader worker process 0.\nOriginal Traceback:\n  x\n'
                        f'mmseg_vittm.errors.DataError: {error}\n')
    assert str(rebuilt) == str(error)
