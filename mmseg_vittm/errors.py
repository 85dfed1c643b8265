"""The errors that a user's input causes: their message is all that a tool prints."""


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
