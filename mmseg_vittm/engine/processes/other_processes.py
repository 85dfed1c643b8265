"""The other processes of a run: where one ended, or hangs, those that wait for it say so."""
import re

from mmengine.dist import get_rank, is_distributed

from ...errors import TrainingError, one_line

_SLOW = re.compile(r'Timed out waiting|[Tt]ime ?out|timed out')
_GONE = re.compile(r'Connection closed|Connection reset|Broken pipe|connection was|Connection refused|closed by peer|'
                   r'NCCL|gloo|Socket|store', re.IGNORECASE)


def lost_process(error: BaseException) -> TrainingError | None:
    """Returns the error that says that another process of this run ended or hangs, or None where none does.

    Args:
        error: What PyTorch raised.
    """
    if not is_distributed() or not isinstance(error, RuntimeError):
        return None
    text = str(error)
    if not _GONE.search(text) and not _SLOW.search(text):
        return None
    if _SLOW.search(text):
        what = ('another process of this run gave no answer within the time-out of env_cfg.dist_cfg.timeout: it '
                'hangs, was stopped, or is that slow')
    else:
        what = 'another process of this run has ended: what it said last is the cause'
    return TrainingError(f'process {get_rank()}: {what} ({one_line(error)[:120]})')
