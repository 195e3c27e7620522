"""PS3.5 §7.1, §7.3 Encoding of the elements of a data set."""

import struct


class Coding:
    """Explicit or implicit VR, little or big endian, and what reads the headers of elements so coded."""

    __slots__ = ("header", "implicit", "length", "order", "short_length", "tag_and_length")

    def __init__(self, *, implicit: bool, little_endian: bool) -> None:
        self.implicit = implicit
        self.order = "<" if little_endian else ">"
        self.tag_and_length = struct.Struct(f"{self.order}HHL").unpack_from
        self.header = self.tag_and_length if implicit else struct.Struct(f"{self.order}HH2sH").unpack_from
        self.short_length = struct.Struct(f"{self.order}H").unpack_from
        self.length = struct.Struct(f"{self.order}L").unpack_from


IMPLICIT_LITTLE = Coding(implicit=True, little_endian=True)
EXPLICIT_LITTLE = Coding(implicit=False, little_endian=True)
EXPLICIT_BIG = Coding(implicit=False, little_endian=False)
