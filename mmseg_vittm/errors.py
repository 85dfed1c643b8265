"""The errors that a user's input causes: their message is all that a tool prints."""


class InputError(ValueError):
    """A file, folder or option is wrong: the message names it and the remedy."""


class CheckpointError(RuntimeError):
    """A checkpoint cannot be read, or does not fit: the message names the file, the problem and the remedy."""


class TrainingError(RuntimeError):
    """Training cannot go on: the message says at which iteration, why, and the remedy."""
