"""Arguments of the command lines: ports, counts, folders; refused in one line that names the setting of `make`."""

import argparse
import ipaddress
import sys
from pathlib import Path
from typing import Final, Never

HIGHEST_PORT: Final = 65_535
EMULATOR_PORTS: Final = 3
"""Blob, queue and table service, on ports in a row."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> Never:
        """Say what is wrong and end with status 2."""
        print(f"{self.prog}: {message} (--help lists the options)", file=sys.stderr)
        sys.exit(2)


def _number(text: str, name: str, lowest: int, highest: int) -> int:
    if not (text.isascii() and text.isdigit()) or not lowest <= int(text) <= highest:
        raise argparse.ArgumentTypeError(f"{name}={text} is no number from {lowest} to {highest}")
    return int(text)


def port(text: str) -> int:
    """A port; 0 is any free one."""
    return _number(text, "PORT", 0, HIGHEST_PORT)


def azurite_port(text: str) -> int:
    """The first of three ports; 0 is any free ones."""
    return _number(text, "AZURITE_PORT", 0, HIGHEST_PORT - EMULATOR_PORTS + 1)


def workers(text: str) -> int:
    """A number of worker processes."""
    return _number(text, "WORKERS", 1, 64)


def folder(text: str) -> Path:
    """A folder, absolute; `~` is the home directory."""
    if not text:
        raise argparse.ArgumentTypeError("the name of the folder is empty (DATA_DIR=)")
    try:
        return Path(text).expanduser().resolve()
    except (RuntimeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r} names no folder: {error}") from None


def is_loopback(address: str) -> bool:
    """Whether `address` is reachable from this machine alone."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
