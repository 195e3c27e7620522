"""PS3.10 §7 Part 10 files: `Part10Reader` reads them in one pass, pushed in chunks, in bounded memory.

It refuses what has an odd structure. Whether such a file is refused at all is decided by `second_opinion`, which has
the whole file to judge it by.
"""

import zlib
from contextlib import suppress

from shared.dicom.attributes import Attributes
from shared.dicom.elements import first_text
from shared.dicom.identifiers import InstanceIdentifier, trim_uid
from shared.dicom.part10.bare_data_set import completion
from shared.dicom.part10.data_set_reader import DataSetReader
from shared.dicom.part10.file_meta import FileMeta
from shared.dicom.part10.inflating import PIECE, Inflater
from shared.dicom.part10.limits import DEFLATED_HEADER_BYTES, HEADER_BYTES, INFLATED_BYTES
from shared.dicom.part10.model import InvalidPart10, Part10, PixelData, Violation
from shared.dicom.part10.pixel_data import frame_table
from shared.dicom.part10.push_parser import ByteFlow, Reading
from shared.dicom.part10.strict_checker import StrictChecker

__all__ = [
    "InvalidPart10",
    "Part10",
    "Part10Reader",
    "PixelData",
    "Violation",
    "bare_references",
    "read_whole",
    "second_opinion",
]

_TRAILER = 9  # bytes after deflated data: a byte of padding, and the checksum and length that gzip writes


class Part10Reader:
    """Reads one file, fed in chunks of any size. Any fault is an InvalidPart10, after which the reader is of no use.

    It holds at most one value that is no bulk value, and what it returns. `header_limit` bounds both: the bytes of
    these values, and something for each element, value and fragment, which need more in memory than in the file.
    """

    def __init__(
        self, *, strict: bool, keep_text: frozenset[int] = frozenset(), header_limit: int = HEADER_BYTES
    ) -> None:
        self._checker = StrictChecker() if strict else None
        self._keep_text = keep_text
        self._limit = header_limit
        self._length = 0
        self._meta = FileMeta()
        self._data: DataSetReader | None = None
        self._inflated: ByteFlow | None = None
        self._flow = ByteFlow()
        self._flow.start(self._read())

    def feed(self, chunk: bytes | memoryview) -> None:
        """The next bytes of the file; a memoryview may be reused afterwards.

        Raises:
            InvalidPart10: this is no Part 10 file, or one that cannot be read.
        """
        self.begin(chunk)
        if self._flow.rests:
            self.begin(b"")

    def begin(self, chunk: bytes | memoryview) -> None:
        """The same, but what comes behind the file meta information waits until more is fed. Raises as `feed`."""
        self._length += len(chunk)
        try:
            self._flow.feed(chunk)
        except BaseException:
            self._end_flows()
            raise

    @property
    def has_begun(self) -> bool:
        """Whether something has been fed."""
        return self._length > 0

    def work(self, length: int) -> int:
        """Bytes that are looked at when `length` more are fed: all that a value was waiting for. What may be deflated
        counts as very many, whatever it becomes.
        """
        if self._meta.deflated or not (self._data or self._flow.rests):
            return (self._flow.have + length) * PIECE
        return self._flow.due(length)

    @property
    def header_bytes(self) -> int:
        """Memory that the values take which have been read so far, more or less."""
        return self._limit - self._data.budget if self._data else 0

    @property
    def references(self) -> tuple[str | None, str | None]:
        """SOP class and instance as far as they are known, from the data set or the file meta information."""
        data_set = self._data.attributes if self._data else {}
        return _reference(data_set, "00080016", self._meta, "00020002"), _reference(
            data_set, "00080018", self._meta, "00020003"
        )

    @property
    def identifier(self) -> InstanceIdentifier | None:
        """The identifier of the instance, once its three UIDs have been read and none of them is empty."""
        if self._data is None:
            return None
        study, series, sop = (self._uid(key) for key in ("0020000D", "0020000E", "00080018"))
        return InstanceIdentifier(study, series, sop) if study and series and sop else None

    def finish(self) -> Part10:
        """The content of the file, now that all of it has been fed. The reader keeps none of its bytes.

        Raises:
            InvalidPart10: the file is not complete.
        """
        try:
            return self._finished()
        finally:
            self._end_flows()

    def _finished(self) -> Part10:
        if self._flow.rests:
            self._flow.feed(b"")
        self._flow.finish()
        data = self._data
        if data is None:
            raise InvalidPart10("The file has no data set.")
        if self._inflated is not None:
            self._inflated.finish()
        data.sort()
        pixel_data = data.pixel_data if self._inflated is None else None
        return Part10(
            file_meta=self._meta.attributes,
            transfer_syntax_uid=self._meta.transfer_syntax_uid,
            implicit_vr=self._meta.coding.implicit,
            attributes=data.attributes,
            text=data.text,
            violations=tuple(self._checker.violations) if self._checker else (),
            pixel_data=pixel_data,
            frames=frame_table(
                data.attributes,
                pixel_data,
                data.fragments,
                data.extended_offsets,
                self._meta.transfer_syntax_uid,
            ),
            length=self._length,
            header_bytes=self.header_bytes,
            odd=data.odd or (self._inflated or self._flow).padded,
        )

    def close(self) -> Attributes:
        """The outermost elements that have been read so far. The reader is of no more use, and keeps nothing."""
        attributes = self._data.attributes if self._data else {}
        self._end_flows()
        self._data = self._inflated = None
        return attributes

    def _end_flows(self) -> None:
        """A generator that waits refers to the reader, which refers to it: the bytes that it has been sent, which may
        be a whole file, would stay until the garbage collector comes by, and to large data sets it does not come.
        """
        for flow in (self._flow, self._inflated):
            if flow is not None:
                flow.close()

    def _uid(self, key: str) -> str:
        return trim_uid(first_text(self._data.attributes, key) or "") if self._data else ""

    def _read(self) -> Reading:
        buffer, position = yield from self._meta.read(self._flow)
        self._flow.taken, self._flow.rests = position, True
        buffer, position = (yield 0), 0
        if self._meta.deflated:
            self._limit = min(self._limit, DEFLATED_HEADER_BYTES)
            yield from self._read_deflated(buffer, position)
        else:
            self._data = self._data_reader(self._flow)
            yield from self._data.read(buffer, position)

    def _data_reader(self, flow: ByteFlow) -> DataSetReader:
        return DataSetReader(
            flow,
            coding=self._meta.coding,
            check=self._checker,
            keep_text=self._keep_text,
            limit=self._limit,
        )

    def _read_deflated(self, buffer: bytes, position: int) -> Reading:
        """Reads a deflated data set (PS3.5 §A.5) through a flow of its own."""
        self._inflated = ByteFlow()
        self._data = self._data_reader(self._inflated)
        self._inflated.start(_from_start(self._data))
        inflater = Inflater()
        total = 0
        while True:
            try:
                for piece in inflater.pieces(memoryview(buffer)[position:]):
                    total += len(piece)
                    if total > INFLATED_BYTES:
                        raise InvalidPart10("The deflated data set is too large.", final=True)
                    self._inflated.feed(piece)
            except zlib.error as error:
                raise InvalidPart10("The data set cannot be inflated.") from error
            if inflater.trailing > _TRAILER:
                raise InvalidPart10("The file goes on after its deflated data set.")
            self._flow.taken, self._flow.complete = len(buffer), inflater.ended
            buffer, position = (yield 1), 0


def second_opinion(data: bytes, *, strict: bool = False, keep_text: frozenset[int] = frozenset()) -> Part10:
    """The reading of a whole file that Part10Reader has refused, by a tolerant reader; the same result as of a reader.

    Raises:
        InvalidPart10: it cannot read the file, either; or it is truncated, or no Part 10 file at all.
    """
    from shared.dicom.part10.tolerant_reader import read

    return read(data, strict=strict, keep_text=keep_text)


def read_whole(data: bytes) -> Part10:
    """The content of a file, read at once, with the second opinion where it is odd. Raises InvalidPart10."""
    reader = Part10Reader(strict=False)
    try:
        reader.feed(data)
        return reader.finish()
    except InvalidPart10:
        pass  # and with it its traceback, which holds what was being read
    return second_opinion(data)


def bare_references(opening: bytes) -> tuple[str | None, str | None]:
    """SOP class and instance of a file without preamble or file meta information that begins so, if it shows them."""
    missing = completion(opening)
    reader = Part10Reader(strict=False)
    if missing is not None:
        with suppress(InvalidPart10):
            reader.feed(missing.prefix + opening)
    references = reader.references
    reader.close()
    return references


def _reference(data_set: Attributes, key: str, meta: FileMeta, meta_key: str) -> str | None:
    found = first_text(data_set, key)
    return found if found is not None else first_text(meta.attributes, meta_key)


def _from_start(data: DataSetReader) -> Reading:
    buffer = yield 0
    yield from data.read(buffer, 0)
