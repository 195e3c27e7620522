"""multipart/related (RFC 2387, RFC 2046 §5.1) as PS3.18 §8.6.1.2 uses it: bytes in, events out, and the way back.

How the reader works:

1. A delimiter is CRLF, two hyphens, the boundary, optional blanks, CRLF. Text that merely begins like one is data.
2. The CRLF before a delimiter belongs to it. The end of the header section counts as that CRLF, so a part may be empty
   in either of the two ways that clients write it.
3. Data goes out as it comes in. Only bytes at the end of a chunk that could begin a delimiter wait for the next chunk,
   so memory stays constant, and the events (with neighbouring data joined) are the same for every way of cutting the
   body.
4. What precedes the first delimiter and follows the last is ignored. A body without its closing delimiter was cut short
   and is an error, and so is data that holds a closing delimiter: half a file must never pass for a whole one.
"""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from shared.dicom.media_types import MULTIPART_RELATED
from shared.errors import InvalidRequest

_HEADER_LIMIT = 16 * 1024
MOST_LINES = 64
"""Of the header section of a part: honest ones have some five."""
_BOUNDARY_LIMIT = 200
_PADDING_LIMIT = 256
_PADDING = re.compile(rb"[ \t]*\r\n")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f]")


@dataclass(frozen=True, slots=True)
class PartHeaders:
    """A part begins. Names are in lower case, in the order received; folded lines are joined by one blank."""

    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str | None:
        """The first value of `name`, or None."""
        return next((value for key, value in self.headers if key == name.lower()), None)


@dataclass(frozen=True, slots=True)
class PartData:
    """Bytes of the part that has begun; never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


type Event = PartHeaders | PartData | PartEnd


class _State(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    BODY_START = auto()
    BODY = auto()
    CLOSED = auto()
    EPILOGUE = auto()


class _Delimiter(Enum):
    NONE = auto()
    PART = auto()
    CLOSE = auto()
    UNDECIDED = auto()


class MultipartReader:
    """Splits a multipart body that arrives in chunks of any size.

    `feed` returns the events that a chunk completes; `finish` says that the body has ended. Both raise InvalidRequest.
    """

    def __init__(self, boundary: bytes) -> None:
        if not 0 < len(boundary) <= _BOUNDARY_LIMIT or b"\r" in boundary or b"\n" in boundary:
            raise InvalidRequest("The boundary of the multipart request is invalid.", where="header Content-Type")
        self._dashes = b"--" + boundary
        self._delimiter = b"\r\n" + self._dashes
        self._state = _State.PREAMBLE
        self._held = b"\r\n"  # the first delimiter may stand at the very beginning
        self._headers: list[tuple[str, str]] = []
        self._header_bytes = self._lines = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes of the body."""
        events: list[Event] = []
        if self._state is _State.EPILOGUE or not chunk:
            return events
        data = self._held + chunk if self._held else chunk
        self._held = b""
        position = 0
        while position >= 0:
            position = self._step(data, position, events)
        return events

    def _step(self, data: bytes, position: int, events: list[Event]) -> int:
        """Read one thing from `position` on. Returns where the next begins, or -1 if the rest must wait for more."""
        match self._state:
            case _State.HEADERS:
                return self._read_header_line(data, position, events)
            case _State.BODY_START:
                return self._read_body_start(data, position, events)
            case _State.CLOSED | _State.EPILOGUE:
                return self._read_close(data, position)
            case _State.PREAMBLE | _State.BODY:
                return self._read_content(data, position, events)

    def finish(self) -> None:
        """The body has ended. Raises InvalidRequest if that was too early."""
        if self._state not in {_State.CLOSED, _State.EPILOGUE}:
            raise InvalidRequest("The multipart request ends before its closing delimiter.", where="request body")

    def _read_close(self, data: bytes, position: int) -> int:
        """The first byte behind the closing delimiter: were it text, the delimiter would have been inside the data."""
        if position < len(data):
            if data[position] not in b" \t\r\n":
                raise InvalidRequest("A part of the multipart request contains the boundary.", where="request body")
            self._state = _State.EPILOGUE
        return -1

    def _after_dashes(self, data: bytes, position: int) -> tuple[_Delimiter, int]:
        """The kind of delimiter whose boundary ends at `position`, and where the delimiter ends."""
        if data.startswith(b"--", position):
            return _Delimiter.CLOSE, position + 2
        rest = data[position : position + _PADDING_LIMIT]
        if found := _PADDING.match(rest):
            return _Delimiter.PART, position + found.end()
        blanks = rest.lstrip(b" \t")
        if rest == b"-" or (blanks in {b"", b"\r"} and len(rest) < _PADDING_LIMIT):
            return _Delimiter.UNDECIDED, position
        return _Delimiter.NONE, position

    def _begin_part(self, kind: _Delimiter) -> None:
        self._state = _State.HEADERS if kind is _Delimiter.PART else _State.CLOSED
        self._headers = []
        self._header_bytes = self._lines = 0

    def _read_content(self, data: bytes, position: int, events: list[Event]) -> int:
        """Preamble and body: everything up to the next delimiter."""
        start = search = position
        while (found := data.find(self._delimiter, search)) >= 0:
            kind, end = self._after_dashes(data, found + len(self._delimiter))
            if kind is _Delimiter.NONE:
                search = found + 2
                continue
            self._emit(data, start, found, events)
            if kind is _Delimiter.UNDECIDED:
                self._held = data[found:]
                return -1
            if self._state is _State.BODY:
                events.append(PartEnd())
            self._begin_part(kind)
            return end
        keep = self._possible_delimiter(data, search)
        self._emit(data, start, keep, events)
        self._held = data[keep:]
        return -1

    def _possible_delimiter(self, data: bytes, search: int) -> int:
        """Where the end of `data` begins that could be the beginning of a delimiter; its length if there is none."""
        candidate = data.find(b"\r", max(search, len(data) - len(self._delimiter) + 1))
        while candidate >= 0:
            if self._delimiter.startswith(data[candidate:]):
                return candidate
            candidate = data.find(b"\r", candidate + 1)
        return len(data)

    def _emit(self, data: bytes, start: int, end: int, events: list[Event]) -> None:
        if self._state is _State.BODY and end > start:
            events.append(PartData(data if start == 0 and end == len(data) else data[start:end]))

    def _read_body_start(self, data: bytes, position: int, events: list[Event]) -> int:
        """Behind the header section a delimiter needs no CRLF of its own."""
        beginning = data[position : position + len(self._dashes)]
        if beginning == self._dashes:
            kind, end = self._after_dashes(data, position + len(self._dashes))
        else:
            kind, end = _Delimiter.UNDECIDED if self._dashes.startswith(beginning) else _Delimiter.NONE, position
        if kind is _Delimiter.UNDECIDED:
            self._held = data[position:]
            return -1
        if kind is _Delimiter.NONE:
            self._state = _State.BODY
            return position
        events.append(PartEnd())
        self._begin_part(kind)
        return end

    def _read_header_line(self, data: bytes, position: int, events: list[Event]) -> int:
        if data.startswith(self._dashes, position):
            kind, end = self._after_dashes(data, position + len(self._dashes))
            if kind in {_Delimiter.PART, _Delimiter.CLOSE}:  # a part with neither blank line nor body
                events += (PartHeaders(tuple(self._headers)), PartEnd())
                self._begin_part(kind)
                return end
        end = data.find(b"\r\n", position)
        length = (end if end >= 0 else len(data) - data.endswith(b"\r")) - position
        if self._header_bytes + length > _HEADER_LIMIT or (end > position and self._lines == MOST_LINES):
            raise InvalidRequest(
                "The header section of a part of the multipart request is too long.", where="request body"
            )
        if end < 0:
            self._held = data[position:]
            return -1
        self._header_bytes += length + 2
        if length == 0:
            events.append(PartHeaders(tuple(self._headers)))
            self._state = _State.BODY_START
        else:
            self._lines += 1
            self._take_header(data[position:end])
        return end + 2

    def _take_header(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")
        if _CONTROL.search(text):
            raise InvalidRequest("A part of the multipart request has an invalid header.", where="request body")
        if text[0] in " \t":
            if not self._headers:
                raise InvalidRequest("A part of the multipart request has an invalid header.", where="request body")
            name, value = self._headers.pop()
            self._headers.append((name, f"{value} {text.strip()}".strip()))
            return
        name, colon, value = text.partition(":")
        if not colon or not _NAME.fullmatch(name.rstrip()):
            raise InvalidRequest("A part of the multipart request has an invalid header.", where="request body")
        self._headers.append((name.rstrip().lower(), value.strip()))


def new_boundary() -> str:
    """A boundary of 64 random characters: it does not occur in pixel data, where clients look for it byte by byte."""
    return secrets.token_hex(32)


def content_type(boundary: str, media_type: str) -> str:
    """The Content-Type of a multipart/related response whose parts are of `media_type` (WADO-21, D-21)."""
    return f'{MULTIPART_RELATED}; type="{media_type}"; boundary={boundary}'


def part_head(boundary: str, headers: Iterable[tuple[str, str]], first: bool) -> bytes:
    """The head of a part: its delimiter, its headers and the blank line (WADO-22).

    Raises ValueError if a header holds a line break.
    """
    lines = [f"{name}: {value}" for name, value in headers]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header cannot hold a line break")
    head = "\r\n".join([f"--{boundary}", *lines, "", ""]).encode("utf-8")
    return head if first else b"\r\n" + head


def closing(boundary: str) -> bytes:
    """The end behind the bytes of the last part (WADO-22)."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")
