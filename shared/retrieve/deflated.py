"""Files whose data set is deflated (PS3.5 §A.5): nothing in them has a byte range, so they are inflated whole."""

import zlib
from collections.abc import Callable
from typing import Final

from shared.dicom.errors import DamagedPixelData
from shared.dicom.part10.inflating import inflated
from shared.errors import NotAcceptable
from shared.retrieve.snapshot import WHOLE

_GROUP_LENGTH: Final = b"\x02\x00\x00\x00UL\x04\x00"
_FILE_META: Final = 132


def deflated_anew(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A whole file of which `change` has changed the file meta information, and the data set before it is deflated.

    Raises NotAcceptable, DamagedPixelData.
    """
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = packer.compress(change(inflated_data_set(data))) + packer.flush()
    return change(data[: _start(data)]) + stream + bytes(len(stream) % 2)


def _start(data: bytes) -> int:
    """Where the data set begins. Raises NotAcceptable."""
    start = _FILE_META + len(_GROUP_LENGTH) + 4
    if data[_FILE_META : start - 4] != _GROUP_LENGTH:
        raise NotAcceptable("The start of the deflated data set of the instance cannot be determined.")
    return start + int.from_bytes(data[start - 4 : start], "little")


def inflated_data_set(data: bytes) -> bytes:
    """The data set of a whole file. Raises NotAcceptable, DamagedPixelData."""
    start = _start(data)
    try:
        data_set, _ = inflated(memoryview(data)[start:], WHOLE + 1)
    except zlib.error:
        raise DamagedPixelData from None
    if len(data_set) > WHOLE:
        raise NotAcceptable("The instance is too large to be inflated.")
    return data_set
