"""What reads files, metadata and the parts of requests, each as a function of bytes. Whatever one raises is a fault:
each knows the refusals that are right, and holds what was read to what must be true of it.
"""

import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from dicom_cli.importing.folder import LocalFile, files_of
from dicom_cli.importing.identifiers import identifiers
from shared.dicom.errors import Unconvertible
from shared.dicom.part10.bare_data_set import OPENING_BYTES
from shared.dicom.part10.composer import CannotCompose, compose
from shared.dicom.part10.file_meta import read_file_meta
from shared.dicom.part10.file_reader import (
    InvalidPart10,
    Part10,
    Part10Reader,
    bare_references,
    read_whole,
    second_opinion,
)
from shared.dicom.part10.reencoding import reencoded
from shared.dicom.pixels import jpeg_xl
from shared.dicom.pixels.codestreams import read_codestream, read_codestream_head, without_boxes
from shared.dicom.pixels.image_pixels import image_pixels
from shared.dicom.pixels.jpeg_2000 import BadCodestream
from shared.dicom.pixels.pixel_syntax import HEAD, codestream_start, syntax_of
from shared.dicom.pixels.presentation import NO_TABLES, pixel_shape, presentation
from shared.dicomweb import json_model, xml_model
from shared.dicomweb.content_negotiation import parse_accept, parse_content_type
from shared.dicomweb.json_input import read_data_sets
from shared.dicomweb.multipart import MultipartReader, PartData
from shared.dicomweb.query_parameters import parse_query
from shared.dicomweb.versions import ApiVersion
from shared.errors import InvalidRequest, NotAcceptable, RangeUnsatisfiable, TooLarge, UnsupportedMedia
from shared.http.compression import accepts_gzip
from shared.http.entity_tags import EntityTags
from shared.http.messages import Headers, Request
from shared.index_schema.schema import BUILT_IN
from shared.ingest.instance_validation import KEPT_TEXT, document_of, validate
from shared.retrieve.byte_ranges import parse_range
from shared.retrieve.negotiation import RetrievedResource, choices, choose
from shared.search.request import parse_search

_PIECE = 1000


def dicom(data: bytes) -> None:
    """A Part 10 file, whole or in pieces, by both readers; its document, as JSON and XML; the same file in Explicit VR
    Little Endian.
    """
    bare_references(data[:OPENING_BYTES])
    whole, in_pieces = _read(data, len(data) or 1), _read(data, _PIECE)
    assert (whole and whole.attributes) == (in_pieces and in_pieces.attributes)
    if whole is not None:
        _judge(whole)
    with suppress(InvalidPart10):
        _judge(second_opinion(data, strict=True, keep_text=KEPT_TEXT))
        meta, start = read_file_meta(data)
        reencoded(data, start, meta)


def _read(data: bytes, piece: int) -> Part10 | None:
    reader = Part10Reader(strict=True, keep_text=KEPT_TEXT)
    try:
        for at in range(0, len(data), piece):
            reader.feed(data[at : at + piece])
        return reader.finish()
    except InvalidPart10:
        return None


def _judge(part10: Part10) -> None:
    with suppress(Unconvertible):
        image_pixels(part10.attributes)
        presentation(part10.attributes, 1, NO_TABLES)
        pixel_shape(part10.attributes, 1)
    for version in ApiVersion:
        verdict, document = document_of(validate(part10, version=version, schema=BUILT_IN))
        if document:
            assert json_model.loads(document) == json_model.loads_in_slices(document)
            ET.fromstring(xml_model.dumps(json_model.loads(document)))
            assert verdict.metadata == part10.attributes


def codestream(data: bytes) -> None:
    """A compressed frame, a picture or a video."""
    for read in (
        lambda: read_codestream(without_boxes(data)),
        lambda: read_codestream_head(data),
        lambda: jpeg_xl.read_header(data),
        lambda: codestream_start(data[:HEAD]),
        lambda: syntax_of(lambda at, length: data[at : at + length]),
    ):
        with suppress(BadCodestream):
            read()


def metadata_json(data: bytes) -> None:
    """Metadata that a client sends as JSON, and the files that are made of them."""
    with suppress(InvalidRequest, TooLarge):
        for data_set in read_data_sets(data):
            _composed(data_set)


def metadata_xml(data: bytes) -> None:
    """The same as XML."""
    with suppress(InvalidRequest, TooLarge):
        _composed(xml_model.loads(data))


def _composed(data_set) -> None:
    with suppress(CannotCompose, InvalidPart10):
        pieces = compose(data_set, lambda _: ())
        _judge(read_whole(b"".join(piece for piece in pieces if isinstance(piece, bytes))))


def multipart(data: bytes) -> None:
    """A multipart body of the boundary `b`, whole or byte by byte."""
    assert _parts(data, len(data) or 1) == _parts(data, 1)


def _parts(data: bytes, piece: int) -> list[object] | None:
    reader = MultipartReader(b"b")
    events: list[object] = []
    try:
        for at in range(0, len(data), piece):
            for event in reader.feed(data[at : at + piece]):
                if isinstance(event, PartData) and events and isinstance(events[-1], PartData):
                    events[-1] = PartData(events[-1].data + event.data)
                else:
                    events.append(event)
        reader.finish()
    except InvalidRequest:
        return None
    return events


def archive(data: bytes) -> None:
    """A zip archive that is imported."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.zip")
        path.write_bytes(data)
        for file in files_of(path, archives=True, everything=True):
            if isinstance(file, LocalFile):
                identifiers(file)
                with suppress(OSError), file.open() as stream:
                    assert len(stream.read(1 << 20)) <= file.length


def matching(data: bytes) -> None:
    """A query string, and header fields below it, each on a line."""
    query, *fields = data.decode("latin-1").split("\n")
    values = [field for field in fields if field.isprintable()]
    for read in (partial(_search, query), partial(_negotiate, values), partial(_content_types, values)):
        with suppress(InvalidRequest, NotAcceptable, UnsupportedMedia):
            read()
    EntityTags.parse(values)
    accepts_gzip(values)
    for value in values:
        asked = Request("GET", "/", "", Headers([("range", value)]))
        with suppress(RangeUnsatisfiable):
            parse_range(asked, ApiVersion.V2).of(1000, '"a"')


def _search(query: str) -> None:
    parameters = parse_query(query)
    found = parse_search("search_instances", {}, parameters, ApiVersion.V2, BUILT_IN)
    for text in (None, "", "A", "Doe^Jane", "20200101", "1.5", "1" * 64):
        for each in found.filters:
            each.match.matches(text)


def _negotiate(values: list[str]) -> None:
    accepted = choices(RetrievedResource.FRAMES, parse_accept(values))
    choose(accepted, ["1.2.840.10008.1.2.4.50"])


def _content_types(values: list[str]) -> None:
    for value in values:
        parse_content_type(value)


PARSERS: Final[dict[str, Callable[[bytes], None]]] = {
    "archive": archive,
    "codestream": codestream,
    "dicom": dicom,
    "matching": matching,
    "metadata-json": metadata_json,
    "metadata-xml": metadata_xml,
    "multipart": multipart,
}
"""By the kind of seeds."""
