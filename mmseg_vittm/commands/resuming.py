"""The command line that goes on with a training run that was stopped."""
import os
import shlex
import sys

COMMAND = 'MMSEG_VITTM_COMMAND'  # what the user typed, where a script of ours started the process: its words, quoted


def command_to_resume(work_dir: str | None, flag: str = '--resume') -> str:
    """Returns the command line that goes on with this process's run.

    Args:
        work_dir: The run's work dir; None where nothing was saved there, so that the same command begins again.
        flag: By which it goes on there.
    """
    words = shlex.split(os.environ.get(COMMAND, '')) or ['python', *sys.argv]
    if COMMAND not in os.environ and any(word.split('=')[0] == '--launcher' for word in sys.argv):
        return 'the same command' + f' with {flag}' * (work_dir is not None)  # torchrun's or srun's, which nobody told
    if work_dir is None:
        return shlex.join(words)
    kept = [word for word, before in zip(words, ['', *words], strict=False)
            if not word.startswith('--resume') and not (before == '--resume' and word == 'auto')]
    if not any(word.split('=')[0] == '--work-dir' for word in kept):
        kept += ['--work-dir', work_dir]
    return shlex.join([*kept, flag])
