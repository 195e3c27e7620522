"""Exit codes and failures of commands (CLI-5)."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    SOME_FAILED = 1
    """Some items of several."""
    WRONG_USE = 2
    NOT_ALLOWED = 3
    """Not signed in, or without the right."""
    NOT_FOUND = 4
    NOT_REACHABLE = 5
    DIFFERENT = 6
    """A verification has found a difference."""
    INTERRUPTED = 130


class CommandFailed(Exception):
    """A command cannot go on: the sentence says why, and the code is that of the program."""

    def __init__(self, text: str, code: ExitCode = ExitCode.SOME_FAILED) -> None:
        super().__init__(text)
        self.code = code
