"""Messages of the import queue, and the files that they are about (IMP-3, IMP-4, IMP-12). Pure.

A message is a wake-up: it names a file, everything else is read from the container. There are two kinds, the
BlobCreated event that Event Grid delivers, in either of its schemas, and our own, which counts attempts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import orjson

from shared.dicomweb.partitions import DEFAULT_NAME, is_partition_name
from shared.errors import InvalidRequest

_BLOB_CREATED: Final = "Microsoft.Storage.BlobCreated"
_SUBJECT: Final = "/blobServices/default/containers/{}/blobs/"
_RESULTS: Final = re.compile(r"import-results-[a-z0-9](?:-?[a-z0-9]){0,40}")

RESULTS_METADATA: Final = "results"
"""The metadata name with which an uploader names a queue of its own for the result of a file."""


@dataclass(frozen=True, slots=True)
class ImportMessage:
    """The request in a message."""

    names: tuple[str, ...]
    """The file's name in the import container; where an event can be read in two ways, both names."""
    attempt: int = 1


def read_message(text: str, container: str) -> ImportMessage | None:
    """The file that a message is about; None if it is about none in `container`."""
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if isinstance(content, list) and len(content) == 1:
        content = content[0]
    if not isinstance(content, dict):
        return None
    name, attempt = content.get("blobName"), content.get("attempt", 1)
    if isinstance(name, str) and name and isinstance(attempt, int):
        return ImportMessage((name,), attempt)
    return _read_event(content, container)


def write_message(name: str, attempt: int) -> str:
    """Our own message about a file."""
    return orjson.dumps({"blobName": name, "attempt": attempt}).decode()


def _read_event(event: dict[str, Any], container: str) -> ImportMessage | None:
    data = event.get("data")
    if event.get("eventType", event.get("type")) != _BLOB_CREATED or not isinstance(data, dict):
        return None
    names: list[str] = []
    subject, prefix = str(event.get("subject", "")), _SUBJECT.format(container)
    if subject.startswith(prefix):
        names.append(subject.removeprefix(prefix))
    # `/{container}/{blob}`, behind the account's name on an emulator.
    _, found, name = _path(str(data.get("url", ""))).partition(f"/{container}/")
    if found and subject.startswith(prefix):
        names.insert(0, unquote(name))
    names = [name for name in dict.fromkeys(names) if name]
    return ImportMessage(tuple(names)) if names else None


def _path(url: str) -> str:
    """The path of a URL; empty if it is none."""
    try:
        return urlsplit(url).path
    except ValueError:
        return ""


def partition_of(name: str, *, data_partitions: bool) -> str:
    """The name of the data partition into which a file goes (IMP-12). Raises InvalidRequest."""
    folder, slash, _ = name.partition("/")
    if not data_partitions or not slash:
        return DEFAULT_NAME
    if not is_partition_name(folder):
        raise InvalidRequest("The first folder of the file's name is no name of a data partition.")
    return folder


def results_queue(metadata: Mapping[str, str]) -> str | None:
    """The queue that the uploader of a file reads, if it names one."""
    container = metadata.get(RESULTS_METADATA, "")
    return container if _RESULTS.fullmatch(container) else None
