"""The messages between a worker and a codec process: a JSON head, then bytes. Nothing of it is executed by either."""

import json
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.dicom.pixels.frame_decoding import Decoded
from shared.dicom.pixels.image_pixels import ImagePixels
from shared.dicom.pixels.lookup_tables import LookupTable
from shared.dicom.pixels.presentation import Tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PREFIX: Final = struct.Struct("<IQ")
"""Length of the head, length of the body."""
LONGEST_HEAD: Final = 4 * 1024 * 1024
"""A head holds at most the entries of five lookup tables."""
LONGEST_BODY: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Limits:
    """The share of its process that one job may take."""

    memory: int
    """Bytes of address space beyond what the process had before the job."""
    seconds: int
    """Of processor time."""


@dataclass(frozen=True, slots=True)
class Message:
    """One job or one answer."""

    head: dict[str, Any]
    body: bytes | memoryview = b""


READY: Final = Message({"ready": True})
"""The first message of a codec process: it has loaded its codecs."""


def packed(message: Message) -> list[bytes | memoryview]:
    """The message as it goes over a pipe, in pieces."""
    head = json.dumps(message.head).encode()
    return [_PREFIX.pack(len(head), len(message.body)), head, message.body]


def received(read: Callable[[int], bytes | bytearray]) -> Message:
    """The next message. `read` returns exactly as many bytes as it is asked for, or raises.

    Raises ValueError when it is not one.
    """
    head, body = _PREFIX.unpack(read(_PREFIX.size))
    if head > LONGEST_HEAD or body > LONGEST_BODY:
        raise ValueError("The message is too long.")
    found = json.loads(read(head))
    if not isinstance(found, dict):
        raise ValueError("The head of the message is not an object.")  # noqa: TRY004 - one error for whoever reads
    return Message(found, memoryview(read(body)))


def described(samples: "NDArray[Any]") -> dict[str, Any]:
    """Type and shape of an array, whose bytes are the body of the message."""
    return {"type": samples.dtype.str, "shape": list(samples.shape)}


def array(message: Message) -> "NDArray[Any]":
    """The array of a message. Not to be written to. Raises ValueError."""
    import numpy as np

    kind = np.dtype(str(message.head["type"]))
    if kind.kind not in "iuf":
        raise ValueError("The array does not hold numbers.")
    return np.frombuffer(message.body, kind).reshape([int(size) for size in message.head["shape"]])


def decoded_message(decoded: Decoded) -> Message:
    """The samples of a frame as an answer."""
    import numpy as np

    samples = np.ascontiguousarray(decoded.samples)
    head = {**described(samples), "pixels": asdict(decoded.pixels), "lossy": decoded.lossy}
    return Message(head, samples.reshape(-1).view(np.uint8).data)


def decoded_in(message: Message) -> Decoded:
    """The samples of a frame from an answer. Raises ValueError, KeyError or TypeError."""
    return Decoded(array(message), ImagePixels(**message.head["pixels"]), lossy=bool(message.head["lossy"]))


def tables_message(tables: Tables) -> Message:
    """Lookup tables and colour profile as an answer."""
    found = [tables.modality, tables.voi, *(tables.palette or (None, None, None))]
    head = {"tables": [None if table is None else asdict(table) for table in found], "profile": bool(tables.profile)}
    return Message(head, tables.profile or b"")


def tables_in(message: Message) -> Tables:
    """Lookup tables and colour profile from an answer. Raises ValueError, KeyError or TypeError."""
    modality, voi, red, green, blue = (
        None if table is None else LookupTable(table["first"], table["bits"], tuple(table["entries"]))
        for table in message.head["tables"]
    )
    palette = None if red is None or green is None or blue is None else (red, green, blue)
    return Tables(modality, voi, palette, bytes(message.body) if message.head["profile"] else None)
