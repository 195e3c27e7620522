"""A file on its way: written as the one part of a STOW-RS request, whatever it came in (MIG-2, MIG-7)."""

import os
from collections.abc import Iterator
from email.message import Message
from hashlib import sha256
from http.client import HTTPResponse
from pathlib import Path
from typing import IO, Final

from dicom_cli.migrate.model import SourceFailed
from dicom_cli.service import PIECE

_BOUNDARY: Final = "serverless-dicom-migrate-7b1f4c0a9e"
CONTENT_TYPE: Final = f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}'
_HEAD: Final = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
_TAIL: Final = f"\r\n--{_BOUNDARY}--\r\n".encode()
_PREAMBLE: Final = 128
"""Bytes that no comparison counts: services may clear them."""
_MOST_HEADER: Final = 16 * 1024
_MAGIC: Final = b"DICM"
_META: Final = 4096
"""Bytes in which the transfer syntax is looked for."""
_SYNTAX: Final = b"\x02\x00\x10\x00UI"


class SpooledFile:
    """One DICOM file in a temporary file that is a whole request body."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.length = 0
        """Bytes of the DICOM file."""
        self.digest = ""
        """SHA-256 of it without its preamble."""
        self.syntax = ""
        """Its transfer syntax, as its file meta information says; empty if that cannot be seen."""

    def fill_from(self, response: HTTPResponse) -> None:
        """Take the one instance of an answer. Raises SourceFailed if it has none, OSError."""
        boundary = _boundary_of(response.headers)
        with self.path.open("w+b") as file:
            file.write(_HEAD)
            for piece in _content(response, boundary):
                file.write(piece)
            if boundary is not None:
                _cut(file, boundary)
            self._finish(file)

    def fill_with(self, source: IO[bytes], prefix: bytes) -> None:
        """Take a file; `prefix` belongs before it. Raises SourceFailed, OSError."""
        with self.path.open("w+b") as file:
            file.write(_HEAD + prefix)
            while piece := source.read(PIECE):
                file.write(piece)
            self._finish(file)

    def _finish(self, file: IO[bytes]) -> None:
        end = file.seek(0, os.SEEK_END)
        self.length = end - len(_HEAD)
        file.seek(len(_HEAD) + _PREAMBLE)
        if file.read(len(_MAGIC)) != _MAGIC:
            raise SourceFailed("it is no DICOM file")
        self.syntax = _syntax_in(file.read(_META))
        file.seek(len(_HEAD) + _PREAMBLE + len(_MAGIC))
        digest = sha256(_MAGIC)
        while piece := file.read(PIECE):
            digest.update(piece)
        self.digest = digest.hexdigest()
        file.write(_TAIL)


def _syntax_in(beginning: bytes) -> str:
    """TransferSyntaxUID (0002,0010) in the beginning of the file meta information (PS3.10 §7.1)."""
    at = beginning.find(_SYNTAX)
    if at < 0:
        return ""
    start = at + len(_SYNTAX) + 2
    length = int.from_bytes(beginning[start - 2 : start], "little")
    return beginning[start : start + length].decode("ascii", "replace").strip(" \0")


def _boundary_of(headers: Message) -> bytes | None:
    """The boundary of a multipart answer; None for one that is the file itself. Raises SourceFailed."""
    if headers.get_content_maintype() != "multipart":
        return None
    boundary = headers.get_boundary()
    if not boundary:
        raise SourceFailed("its answer has no boundary")
    return b"--" + boundary.encode()


def _content(response: HTTPResponse, boundary: bytes | None) -> Iterator[bytes]:
    """The bytes behind the header of the first part. Raises SourceFailed."""
    before = b""
    while piece := response.read(PIECE):
        if boundary is None:
            yield piece
            continue
        before += piece
        _, found, content = before.partition(b"\r\n\r\n")
        if found:
            yield content
            boundary = None
        elif len(before) > _MOST_HEADER:
            break
    if boundary is not None:
        raise SourceFailed("its answer has no part")


def _cut(file: IO[bytes], boundary: bytes) -> None:
    """Take off what follows the part: the delimiter that ends it is the last one. Raises SourceFailed."""
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - _MOST_HEADER)
    file.seek(start)
    at = file.read().rfind(b"\r\n" + boundary)
    if at < 0:
        raise SourceFailed("its answer was cut off")
    file.truncate(start + at)
