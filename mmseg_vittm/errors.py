"""The errors that a user's input causes: their message is all that a tool prints."""


class InputError(ValueError):
    """A file, folder or option is wrong: the message names it and the remedy."""


class DataError(InputError):
    """A file of a data set is bad or missing: the message is `FILE: PROBLEM; REMEDY`, in one line.

    Args:
        file: The file; or, alone, the whole message. A DataLoader rebuilds its workers' errors so, from the whole
            traceback, of which the last line is the message.
        problem: What is wrong with it.
        remedy: What to do about it.
    """

    def __init__(self, file: str, problem: str = '', remedy: str = ''):
        self.file, self.problem, self.remedy = str(file), problem, remedy
        if problem:
            message = f'{file}: {problem}; {remedy}'.replace('\n', '\\n')
        else:
            message = str(file).rstrip().split('\n')[-1].removeprefix(f'{__name__}.{type(self).__name__}: ')
        super().__init__(message)


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read, or does not fit: the message names the file, the problem and the remedy."""
