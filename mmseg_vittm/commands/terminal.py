"""What reaches the terminal: text without control characters, also out of file names, and a reader that may be gone."""
import argparse
import contextlib
import errno
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import NoReturn, TextIO

from rich.console import Console
from rich.text import Text

from ..errors import printable
from ..outputs import not_written

READER_GONE = 141  # the exit status of a process that SIGPIPE has ended, in a shell
_COLOUR = re.compile('(\x1b\\[[0-9;]*m)')
_RETURN = re.compile('(^\r|\r(?=\n|$))')
_STEPS = re.compile('(\x1b\\[[0-9;]*m|\x1b\\[[0-9]*[AK])')  # and a line up, or the rest of one cleared, as bars do


class Screen:
    """A standard stream that escapes what could steer a terminal; all else is the stream's own.

    A write that fails, as into `| head`, is noted, and the stream leads nowhere from then on: training whose reader is
    gone goes on.

    Args:
        stream: The stream; rich writes to a terminal past this, which it steers.

    Attributes:
        failure: The error of the first write that failed, or None.
    """

    def __init__(self, stream: TextIO):
        self.stream, self.failure = stream, None
        self.is_terminal = stream.isatty()
        if self.is_terminal:
            self.rich_proxied_file = stream
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='backslashreplace')

    def __getattr__(self, name: str):
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Writes text. Colours stay, and on a terminal what bars of progress do."""
        parts = (_STEPS if self.is_terminal else _COLOUR).split(text)
        self._try(self.stream.write, ''.join(part if number % 2 else _escaped(part)
                                             for number, part in enumerate(parts)))
        return len(text)

    def writelines(self, lines) -> None:
        """Writes several texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Hands on what was written."""
        self._try(self.stream.flush)

    def _try(self, call, *arguments) -> None:
        try:
            call(*arguments)
        except OSError as error:
            if self.failure is None:
                self.failure = error
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.stream.fileno())  # Python's own flush at the end fails otherwise
                os.close(nowhere)

    def check(self) -> None:
        """Ends the process quietly where nobody reads it any more.

        Raises:
            OutputError: What was written did not get through, such as to a file on a full disk.
        """
        if self.failure is None:
            return
        if self.failure.errno == errno.EPIPE:
            sys.exit(READER_GONE)
        raise not_written('standard output', self.failure)


def _escaped(text: str) -> str:
    """Returns a text without what steers a terminal. It may begin or end at a line's begin: bars of progress do."""
    return ''.join(part if number % 2 else printable(part, '\n\t') for number, part in enumerate(_RETURN.split(text)))


def _refuse(parser: argparse.ArgumentParser, message: str) -> NoReturn:
    """Does what `ArgumentParser.error` does, with words of the command line that are free of control characters."""
    _argparse_error(parser, printable(message, '\n'))


_argparse_error = argparse.ArgumentParser.error


class _Record(logging.LogRecord):
    def getMessage(self) -> str:
        return printable(super().getMessage(), '\n\t')


@contextlib.contextmanager
def screens() -> Iterator[None]:
    """Puts `Screen`s in place of the standard streams until the block's end, and lets no text steer a terminal.

    Log lines and errors of command lines are freed of colours too, before their own are added.

    Raises:
        OutputError: See `Screen.check`.
    """
    before, factory = (sys.stdout, sys.stderr), logging.getLogRecordFactory()
    sys.stdout, sys.stderr = (stream and Screen(stream) for stream in before)
    logging.setLogRecordFactory(_Record)
    argparse.ArgumentParser.error = _refuse
    own = sys.stdout
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = before
        logging.setLogRecordFactory(factory)
        argparse.ArgumentParser.error = _argparse_error
    if own is not None and own.failure is not None and own.failure.errno != errno.EPIPE:
        own.check()


class Screened(Console):
    """A console of rich whose texts are free of control characters, and that ends where nobody reads it any more."""

    def render_str(self, text: str, **options) -> Text:
        """Returns a text for a string."""
        return super().render_str(printable(text, '\n\t'), **options)

    def print(self, *objects, **options) -> None:
        """Prints, as `Console`."""
        super().print(*objects, **options)
        if isinstance(sys.stdout, Screen):
            sys.stdout.check()
