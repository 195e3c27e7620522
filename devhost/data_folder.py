"""The data folder of a service: one service at a time, and where it can be reached.

`service.lock` is locked (`flock`) as long as the host or its emulator lives, so that it cannot go stale: the kernel
gives it up when the last process that holds it has ended. Its content says whose it is. `service.json` is there while
the service answers: `{"pid", "port", "azuritePort", "url"}`.
"""

import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from devhost.settings import Unusable

LOCK_FILE: Final = "service.lock"
SERVICE_FILE: Final = "service.json"
_ENDING_SECONDS: Final = 15.0
"""A killed host's emulator holds the lock until it has written its tables: it is given ten seconds, and then killed."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The service that holds a data folder; zeros when its lock file tells nothing."""

    pid: int = 0
    port: int = 0
    azurite_port: int = 0

    @property
    def text(self) -> str:
        """The holder's name, for people."""
        return f"the service on port {self.port} (process {self.pid})" if self.pid else "another service"


def process_exists(pid: int) -> bool:
    """Whether a process is alive; one that has ended and waits to be collected is not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True  # no /proc on this system
    return stat.rpartition(")")[2].split()[0] != "Z"


def _numbers(path: Path) -> Mapping[str, object]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _holder(path: Path) -> Holder:
    content = _numbers(path)
    found = [content.get(name) for name in ("pid", "port", "azuritePort")]
    return Holder(*(value if isinstance(value, int) else 0 for value in found))


def holder_of(folder: Path) -> Holder | None:
    """The service that holds `folder` now; None when none does. Nothing is created."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _locked(descriptor) else _holder(folder / LOCK_FILE)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class DataFolder:
    """A data folder that this process holds."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        """The open lock file. A child that inherits it keeps the folder held until it ends, too."""

    @classmethod
    def take(cls, path: Path, *, port: int, azurite_port: int) -> Self:
        """Create the folder if need be, and hold it. Raises Unusable: it cannot be written, or is in use."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise Unusable(
                f"the data folder {path} cannot be written ({error.strerror}): "
                "DATA_DIR= chooses another, EPHEMERAL=1 needs none"
            ) from None
        try:
            _take(descriptor, path)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _json({"pid": os.getpid(), "port": port, "azuritePort": azurite_port}), 0)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Hold the folder no longer."""
        os.close(self.descriptor)


def _take(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + _ENDING_SECONDS
    while not _locked(descriptor):
        holder = _holder(path / LOCK_FILE)
        ending = holder.pid and not process_exists(holder.pid)
        if not ending or time.monotonic() > deadline:
            raise Unusable(
                f"the data folder {path} is in use by {holder.text}: end it, "
                "or choose another folder with DATA_DIR=, or none with EPHEMERAL=1"
            )
        time.sleep(0.05)


def _json(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"


class ServiceFile:
    """The file that says where the service can be reached, for programs on this machine such as `make import`.

    It is gone when the context ends.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = b""

    def write(self, *, port: int, azurite_port: int, url: str) -> None:
        """Say it, whole or not at all."""
        self._written = _json({"pid": os.getpid(), "port": port, "azuritePort": azurite_port, "url": url})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(self._written)
        partial.replace(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Say nothing any more, unless another service speaks by now."""
        try:
            if self._written and self._path.read_bytes() == self._written:
                self._path.unlink()
        except FileNotFoundError:
            return


def running_service_of(path: Path) -> Mapping[str, object] | None:
    """The content of a service file; None when there is none, or the service that wrote it has ended."""
    content = _numbers(path)
    pid = content.get("pid")
    return content if isinstance(pid, int) and process_exists(pid) else None
