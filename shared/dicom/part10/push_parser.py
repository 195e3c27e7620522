"""Bytes that are pushed in chunks of any size and pulled by a generator: what a streaming parser is built on.

The generator is sent a buffer and yields how many bytes it needs next, after it has said how many it took and how many
more, beyond the buffer, are to be skipped. So the parser keeps its state in local variables, and bytes that it does not
want are never held.
"""

from collections.abc import Generator

from shared.dicom.part10.model import InvalidPart10

type Reading = Generator[int, bytes]
"""Yields the bytes needed; is sent all that are there, at least as many. The first buffer answers the first yield."""


class ByteFlow:
    """One run of bytes through one generator."""

    __slots__ = ("_need", "_parts", "_reading", "complete", "have", "offset", "padded", "rests", "skip", "taken")

    def __init__(self) -> None:
        self.offset = 0
        """Of the first byte of the generator's buffer, counted from the first byte fed."""
        self.taken = 0
        """Set by the generator before it yields: the bytes of its buffer that it is done with."""
        self.skip = 0
        """Set by the generator before it yields, all its buffer taken: the bytes after that which it does not want."""
        self.complete = False
        """Set by the generator before it yields: whether the bytes may end here."""
        self.padded = False
        """Whether zeros follow the last bytes that the generator has taken."""
        self.rests = False
        """Set by the generator before it yields: whether the bytes that are there wait until it is fed again."""
        self.have = 0
        """Bytes that wait."""
        self._parts: list[bytes] = []
        self._need = 0
        self._reading: Reading | None = None

    def start(self, reading: Reading) -> None:
        """Connects the generator, which may use this object from its first line on."""
        self._reading = reading
        self._need = next(reading)

    def feed(self, chunk: bytes | memoryview) -> None:
        """The next bytes; a memoryview may be reused afterwards.

        Raises:
            InvalidPart10: from the generator. There is no going on after it.
        """
        self.rests = False
        if self.skip:
            passed = min(self.skip, len(chunk))
            self.skip -= passed
            self.offset += passed
            if self.skip:
                return
            chunk = chunk[passed:]
        self._parts.append(bytes(chunk))
        self.have += len(chunk)
        while self.have >= self._need and not (self.skip or self.rests):
            self._step()

    def due(self, length: int) -> int:
        """Bytes that the generator would be given if `length` more were fed."""
        length -= min(self.skip, length)
        gathered = self.have + length
        return gathered if length and gathered >= self._need else 0

    def finish(self) -> None:
        """There are no more bytes. A few zeros that are left over are padding.

        Raises:
            InvalidPart10: the generator expects more.
        """
        if self.skip or not self.complete or any(map(any, self._parts)):
            raise InvalidPart10("The file ends in the middle of a data element.", final=self.skip > 0)
        self.padded = self.have > 0

    def close(self) -> None:
        """Ends the generator, which refers to this object, and forgets what has been fed."""
        reading, self._reading = self._reading, None
        self._parts.clear()
        self.have = 0
        if reading is not None:
            reading.close()

    def _step(self) -> None:
        buffer = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self.taken = 0
        try:
            if self._reading is None:
                raise InvalidPart10("Reading has failed before.")
            self._need = self._reading.send(buffer)
        except BaseException:
            self._reading = None
            raise
        self.offset += self.taken
        self.have = len(buffer) - self.taken
        if self.have:
            self._parts.append(buffer[self.taken :] if self.taken else buffer)
