"""The errors that a user's input and machine cause: their message is all that a tool prints.

Messages name arguments as Python has them, `overwrite=True`; command lines translate them into their flags.
"""
import re
from typing import Any

LONGEST = 400
# Controls of a terminal, directions of writing, what has no width, halves of characters, bytes that are no UTF-8.
_UNSEEN = re.compile('[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u2028-\u202e'
                     '\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]')


def printable(text: str, keep: str = '') -> str:
    r"""Returns a text in which nothing steers a terminal or is unseen: that is escaped, such as `\x1b` or `\u202e`.

    Bytes of file names that are no UTF-8 are shown as such: `\xff`.

    Args:
        text: The text.
        keep: Such characters that stay, such as newlines.
    """
    def escape(found: re.Match) -> str:
        character = found[0]
        if character in keep:
            return character
        if '\udc80' <= character <= '\udcff':
            return f'\\x{ord(character) - 0xdc00:02x}'
        return character.encode('unicode_escape', 'surrogatepass').decode()
    return _UNSEEN.sub(escape, text)


def one_line(error: BaseException) -> str:
    """Returns an error's type and message in one line, such as `'ValueError: too short'`, at most some 400 characters.

    Errors of other libraries hold whole lists and configs; what is wrong stands at their beginning or end.
    """
    text = ' '.join(str(error).split())
    if len(text) > LONGEST:
        text = f'{text[:LONGEST - 100]} ... {text[-95:]}'
    return f'{type(error).__name__}: {text}'.removesuffix(': ')


def shown(text: Any) -> str:
    """Returns a name out of a file as it may be shown: one line, no control characters, at most 160 of them."""
    if not isinstance(text, str):
        return f'a {type(text).__name__}'
    text = text if len(text) <= 160 else f'{text[:157]}...'
    return text if text.isprintable() else ascii(text)


class InputError(ValueError):
    """A file, folder or option is wrong: the message names it and the remedy.

    Args:
        message: That; or what a DataLoader rebuilds its workers' errors from: a traceback, whose last line it is.
    """

    def __init__(self, message: str):
        if message.startswith(f'Caught {type(self).__name__} in DataLoader worker'):
            message = message.rstrip().split('\n')[-1].removeprefix(f'{__name__}.{type(self).__name__}: ')
        super().__init__(message)


class DataError(InputError):
    """A file of a data set is bad or missing: the message is `FILE: PROBLEM; REMEDY`, in one line.

    Args:
        file: The file; or, alone, the whole message.
        problem: What is wrong with it.
        remedy: What to do about it.
    """

    def __init__(self, file: str, problem: str = '', remedy: str = ''):
        self.file, self.problem, self.remedy = str(file), problem, remedy
        super().__init__(f'{file}: {problem}; {remedy}'.replace('\n', '\\n') if problem else str(file))


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read, or does not fit: the message names the file, the problem and the remedy."""


class TrainingError(RuntimeError):
    """Training cannot go on: the message says at which iteration, why, and the remedy."""


class OutputError(RuntimeError):
    """A file or folder cannot be written: the message is `PATH: cannot be written (REASON); REMEDY`.

    Args:
        path: The file or folder; or, alone, the whole message.
        reason: Why it cannot be written.
        remedy: What to do about it.
    """

    def __init__(self, path: str, reason: str = '', remedy: str = ''):
        self.path, self.reason = str(path), reason
        super().__init__(f'{path}: cannot be written ({reason}); {remedy}' if reason else str(path))


class TrainingStopped(SystemExit):
    """A signal stopped a training run, which can go on later: the process ends with a status of its own.

    Args:
        message: What stopped it, when, and what was saved; empty where another process says so.
        work_dir: Its work dir, None where nothing of it was saved.
        resume: The argument by which it goes on from there.
    """
    STATUS = 75  # EX_TEMPFAIL of sysexits.h: not done, try again

    def __init__(self, message: str, work_dir: str | None = None, resume: str = 'resume=True'):
        super().__init__(self.STATUS)
        self.message, self.work_dir, self.resume = message, work_dir, resume

    def __str__(self) -> str:
        return self.message
