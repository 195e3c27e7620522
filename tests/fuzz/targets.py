"""Parsers of bytes from outside. Each target has small seeds, a call, and the refusals that the parser is allowed."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from shared.bulk_import.request import partition_of, read_message
from shared.codec_process.processes import CodecProcesses
from shared.dicom.errors import Unconvertible
from shared.dicom.part10.file_reader import InvalidPart10, read_whole
from shared.dicom.pixels.codestreams import read_codestream, read_codestream_head, without_boxes
from shared.dicom.pixels.image_pixels import ImagePixels
from shared.dicom.pixels.jpeg_2000 import BadCodestream
from shared.dicomweb import xml_model
from shared.dicomweb.json_input import read_data_sets
from shared.dicomweb.media_types import negotiate_data_sets, parse_accept, parse_content_type
from shared.dicomweb.multipart import MultipartReader
from shared.dicomweb.query_parameters import parse_query
from shared.errors import InvalidRequest, MissingCredentials, NotAcceptable, UnsupportedMedia
from shared.http.messages import Headers, Request
from shared.http.openid import KeySet, OpenIdAuthenticator
from shared.http.roles import Roles
from shared.web_extension.messages import RequestBody
from shared.web_extension.reader import RequestReader
from tests.builders.codestreams import NOISE, STREAMS, run_length
from tests.builders.datasets import add_private, ct, part10
from tests.builders.http import settings
from tests.builders.images import DEFL, EBE, ELE, ILE, RLE
from tests.builders.tokens import AUDIENCE, Key, key_set

_BOUNDARY = b"b"
_CONTAINER = "import-container"
_GREY = ImagePixels(40, 56, 1, "MONOCHROME2", False, 8, 8, 7, False, 1)


@dataclass(frozen=True)
class Target:
    """One parser. `read` raises one of `refusals`, or what it raises is a finding."""

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...] = ()


def _multipart(data: bytes) -> None:
    reader = MultipartReader(_BOUNDARY)
    for start in range(0, len(data), 7):
        reader.feed(data[start : start + 7])
    reader.finish()


def _media_types(data: bytes) -> None:
    text = data.decode("latin-1")
    with suppress(UnsupportedMedia):
        parse_content_type(text)
    negotiate_data_sets(parse_accept([text]))


def _codestream(data: bytes) -> None:
    with suppress(BadCodestream):
        read_codestream_head(data)
    read_codestream(without_boxes(data))


def _import_message(data: bytes) -> None:
    message = read_message(data.decode("utf-8", "replace"), _CONTAINER)
    for name in message.names if message else ():
        partition_of(name, data_partitions=True)


def _http_request(data: bytes) -> None:
    reader = RequestReader(4096, "192.0.2.7", lambda: RequestBody(lambda: None))
    reader.feed(data)
    for request in reader.take():
        assert request.refusal is not None or request.method


class _Keys:
    """A provider with one key."""

    async def fetch(self) -> KeySet:
        return key_set(_key())


@cache
def _key() -> Key:
    return Key()


def _token(data: bytes) -> None:
    wanted = settings(authentication="openid", authority="https://login.example", audiences=(AUDIENCE,))
    authenticator = OpenIdAuthenticator(wanted, Roles(), _Keys(), clock=time.time)
    field = ("Authorization", "Bearer " + data.decode("latin-1"))
    caller = asyncio.run(authenticator.authenticate(Request("GET", "https", "h", "/", headers=Headers([field]))))
    assert data.decode("latin-1").strip() == _seed_token(), "a token that nobody signed was accepted"
    assert caller.actions == {"read"}


@cache
def _seed_token() -> str:
    return _key().token()


def _decoder(syntax: str) -> Callable[[bytes], object]:
    """In a process of the codecs' own, as the service decodes."""
    return lambda frame: _codecs().decode(frame, syntax, _GREY)


@cache
def _codecs() -> CodecProcesses:
    return CodecProcesses()


_JSON = [
    {
        "00080018": {"vr": "UI", "Value": ["1.2.3"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]},
        "00081115": {"vr": "SQ", "Value": [{"0020000E": {"vr": "UI", "Value": ["1.2"]}}]},
        "00280010": {"vr": "US", "Value": [4]},
        "00420011": {"vr": "OB", "InlineBinary": "AAA="},
    }
]
_EVENT = {
    "eventType": "Microsoft.Storage.BlobCreated",
    "subject": f"/blobServices/default/containers/{_CONTAINER}/blobs/ab/c d.dcm",
    "data": {"url": f"https://a.blob.core.windows.net/{_CONTAINER}/ab/c%20d.dcm"},
}


@cache
def targets() -> tuple[Target, ...]:
    """Every target."""
    codestreams = tuple(STREAMS.values())
    frames = {**STREAMS, RLE: run_length(NOISE)}
    return (
        Target(
            "part10",
            tuple(part10(add_private(ct(), 2), syntax) for syntax in (ELE, ILE, EBE, DEFL)),
            read_whole,
            (InvalidPart10,),
        ),
        Target("json", (json.dumps(_JSON).encode(), b"[]", b"{}"), read_data_sets, (InvalidRequest,)),
        Target("xml", (xml_model.dumps(_JSON[0]),), xml_model.loads, (InvalidRequest,)),
        Target(
            "multipart",
            (b"--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b\r\nA: b\r\n c\r\n\r\n\r\n--b--\r\n",),
            _multipart,
            (InvalidRequest,),
        ),
        Target(
            "media-types",
            (b'multipart/related; type="application/dicom+xml"; q=0.5, application/dicom+json;q=1, */*',),
            _media_types,
            (NotAcceptable, UnsupportedMedia),
        ),
        Target(
            "query",
            (b"PatientName=a*&00100020=%C3%BC&limit=5&offset=1&fuzzymatching=true&includefield=all,StudyDate",),
            lambda data: parse_query(data.decode("latin-1")),
            (InvalidRequest,),
        ),
        Target("codestream", codestreams, _codestream, (BadCodestream,)),
        *(Target(f"frame-{one}", (seed,), _decoder(one), (Unconvertible,)) for one, seed in frames.items()),
        Target("token", (_seed_token().encode(),), _token, (MissingCredentials,)),
        Target(
            "http-request",
            (
                b"POST /v2/studies?a=b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                b"GET /v2/studies/1%20 HTTP/1.1\r\nHost: h\r\nx-ms-invocation-id: 0a-1b\r\n\r\n",
            ),
            _http_request,
        ),
        Target("import-message", (json.dumps(_EVENT).encode(),), _import_message, (InvalidRequest,)),
    )
