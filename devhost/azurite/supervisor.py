"""Runs a command that must not outlive the process that started this one.

    python -P -m devhost.azurite.supervisor COMMAND ARGUMENT...

The starter holds the other end of this process's standard input. When that ends - because the starter closed it, or
died - the command gets SIGTERM and, if it does not end, SIGKILL.
"""

import os
import signal
import subprocess
import sys
import threading
from typing import Final

_STOP_SECONDS: Final = 10.0


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _await_end_of_input(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1024):
        pass
    _stop(process)


def main(command: list[str]) -> int:
    """Run `command`; the answer is its exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end of the input decides, so that the end is an orderly one
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        close_fds=False,  # a lock that the starter handed over stays taken until the command has ended
        preexec_fn=_default_signals,  # noqa: PLW1509 - there is one thread yet
    )
    threading.Thread(target=_await_end_of_input, args=(process,), daemon=True).start()
    return process.wait()


def _default_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
