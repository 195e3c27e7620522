"""What reads bytes from outside, each as a function of bytes: what a fuzzer tries.

A target returns, or raises one of its refusals; anything else is a finding. Bytes on a socket, and files that are
stored and read in a running service, have fuzzers of their own (docs/develop/fuzzing.md).
"""

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import orjson

from shared.access_report.transaction import path_and_query
from shared.bulk_import.request import partition_of, read_message, results_queue
from shared.cast import queueing
from shared.cast.json_stream import ObjectStream, read_object
from shared.cast.ports import Unreadable
from shared.cast.settings import normalised_base
from shared.cohorts.definition.reading import read_definition
from shared.cohorts.feedback.predictions import order_of_token
from shared.cohorts.feedback.request import assessment_of, reader_of
from shared.cohorts.language.translation import translate
from shared.cohorts.request import question_of
from shared.dicomweb.json_input import read_json
from shared.dicomweb.resources import RESOURCES
from shared.dicomweb.versions import ApiVersion
from shared.errors import DicomServiceError, InvalidRequest, Misconfigured, MissingCredentials, Unavailable
from shared.export.request import new_export
from shared.fhir.search_answer import read_page
from shared.http.authentication import PlatformAuthenticator
from shared.http.content_coding import decoded
from shared.http.messages import Headers, Request
from shared.http.openid import KeySet, OpenIdAuthenticator, key_set_of
from shared.http.origin import OriginRule
from shared.http.roles import Roles
from shared.index_schema import blob_names, keys
from shared.outgoing.failures import RequestFailed, operation_outcome, retry_after_seconds
from shared.outgoing.server import Server
from shared.outgoing.settings import server_settings
from shared.outgoing.tokens import NoToken
from shared.sections import Sections
from shared.settings import Settings
from shared.shares.model import read_token
from shared.storage import table_entities
from shared.storage.connection import StorageConnection
from shared.storage.secret_stores import secret_store
from shared.subscriptions.ticket import ticket_of
from shared.worklist.subscribe import connection_events
from shared.yaml_documents import read_yaml
from tests.builders.cohorts import DICTIONARY
from tests.builders.http import chunks, settings
from tests.builders.images import image
from tests.builders.paths import example_path
from tests.builders.tokens import AUDIENCE, ISSUER, Key
from tests.builders.whole_service import WholeService, whole_service
from tests.unit.export.service import rules
from tests.unit.fuzzing.parsers import PARSERS


@dataclass(frozen=True, slots=True)
class Target:
    """`read` takes the bytes, and may have to be awaited."""

    read: Callable[[bytes], Any]
    refusals: tuple[type[Exception], ...]
    words: tuple[bytes, ...] = ()
    """What stands in such bytes: put in whole."""
    costs: int = 1
    """How many inputs of other targets one of it costs."""


def text(data: bytes) -> str:
    """As a header, a name or a line of text arrives."""
    return data.decode("utf-8", errors="replace")


# ---------------------------------------------------------------------------------------------- requests, whole ones


_AGAIN: Final = 200
"""Requests after which the instance is stored again that some have deleted."""


class _Requests:
    """The whole service with one instance, which answers requests written as HTTP/1.1 has them."""

    def __init__(self) -> None:
        self._services: dict[bool, WholeService] = {}
        self._asked = 0

    async def ask(self, data: bytes) -> int:
        """The status of the answer, whose body is read to its end."""
        head, _, body = data.partition(b"\n\n")
        line, *fields = head.decode("latin-1").split("\n")
        method, _, rest = line.partition(" ")
        target = rest.rpartition(" ")[0]
        partitions = "/partitions/" in target
        if partitions not in self._services:
            self._services[partitions] = await whole_service({"DATA_PARTITIONS_ENABLED": str(partitions).lower()})
        if self._asked % _AGAIN == 0:
            for on, service in self._services.items():
                path = "/v2/partitions/ward/studies" if on else "/v2/studies"
                await service.ask("POST", path, [("Content-Type", "application/dicom")], _INSTANCE)
        self._asked += 1
        headers = [(name.strip(), value.strip()) for name, found, value in (f.partition(":") for f in fields) if found]
        answer, _ = await self._services[partitions].ask(method, target, headers, body)
        if answer.status >= 500 and answer.status not in _SAID:
            raise AssertionError(f"answered with {answer.status}: {answer.body!r}")
        return answer.status


_INSTANCE: Final = image("1.2", "1.2.3", "1.2.3.4", frames=2).data
_SAID: Final = frozenset({501, 505})
"""What says that the service has no such thing."""

REQUESTS = _Requests()


# ------------------------------------------------------------------------------------------------ who somebody is

KEY, OTHER = Key(), Key("two", "ES256")
CLAIMS: Final = {"roles": ["globalReader"]}
_OPENID: Final = {"authentication": "openid", "authority": ISSUER, "audiences": (AUDIENCE,)}


class _Published:
    def __init__(self, published: KeySet) -> None:
        self._published = published

    async def fetch(self) -> KeySet:
        return self._published


def _carrying(name: str, value: str) -> Request:
    return Request("GET", "https", "h", "/", headers=Headers([(name, value)]))


async def read_bearer(data: bytes) -> None:
    """A token that is let in says what its provider has signed."""
    published = KeySet(ISSUER, (KEY.published, OTHER.published))
    at = OpenIdAuthenticator(settings(**_OPENID), Roles(), _Published(published))
    given = data.decode("latin-1").strip().replace("TOKEN", KEY.token(**CLAIMS))
    caller = await at.authenticate(_carrying("Authorization", given))
    assert caller.permissions.actions == {"read"}, "a token was believed that nobody has signed"


async def read_key_set(data: bytes) -> None:
    """The documents of a provider, a line each. What they publish lets nobody in but whom the provider has signed."""
    configuration, _, keys_document = data.replace(b"KEY", json.dumps(KEY.published).encode()).partition(b"\n")
    at = OpenIdAuthenticator(
        settings(**_OPENID), Roles(), _Published(key_set_of(orjson.loads(configuration), orjson.loads(keys_document)))
    )
    await at.authenticate(_carrying("Authorization", f"Bearer {KEY.token(**CLAIMS)}"))


async def read_principal(data: bytes) -> None:
    """The header of the platform's authentication, coded or not."""
    fields = settings(authentication="platform", platform_authentication=True)
    at = PlatformAuthenticator(fields, Roles())
    for value in (data.decode("latin-1"), base64.b64encode(data).decode()):
        await at.authenticate(_carrying("x-ms-client-principal", value))


def read_origin(data: bytes) -> None:
    """Forwarding headers, a line each: no client is anything but an address."""
    fields = [line.partition(":") for line in data.decode("latin-1").split("\n")]
    headers = Headers((name.strip(), value.strip()) for name, _, value in fields)
    for on_platform in (False, True):
        for gateway in (False, True):
            origin = OriginRule(on_platform, gateway, "7071").origin("127.0.0.1", headers)
            assert origin.scheme in {"http", "https"}
            assert all(sign in "0123456789abcdef.:%" or sign.isalnum() for sign in origin.client)


# --------------------------------------------------------------------------------------------- documents and bodies


def of_json(*read: Callable[[Any], object]) -> Callable[[bytes], None]:
    """Each of `read` with the value of a JSON text; each may refuse it."""

    def run(data: bytes) -> None:
        document = read_json(data)
        for each in read:
            try:
                each(document)
            except DicomServiceError:
                continue

    return run


async def read_coded(data: bytes) -> None:
    """A body in gzip or deflate."""
    for coding in ("gzip", "deflate"):
        try:
            assert sum([len(piece) async for piece in decoded(chunks(data), coding, 1 << 20)]) <= 1 << 20
        except InvalidRequest:
            continue


def read_stream(data: bytes) -> None:
    """Metadata of another server, in pieces."""
    stream = ObjectStream()
    for at in range(0, len(data), 7):
        for each in stream.feed(data[at : at + 7]):
            read_object(each)
    stream.end()


# ------------------------------------------------------------------------------------------------ events and names


def read_import_message(data: bytes) -> None:
    """A message of the queue of imports, and what is made of it."""
    message = read_message(text(data), "import-container")
    for name in message.names if message else ():
        partition_of(name, data_partitions=True)
    results_queue({"results": text(data)})


async def read_connection_event(data: bytes) -> None:
    """A request of Web PubSub: header fields, an empty line, and the body."""
    head, _, body = data.partition(b"\n\n")
    fields = [line.partition(":") for line in head.decode("latin-1").split("\n")]
    headers = Headers((name.strip(), value.strip()) for name, _, value in fields)
    request = Request("POST", "https", "h", "/", headers=headers, body=chunks(body))
    delivery = connection_events.parse_delivery(request, ApiVersion.V2)
    connection_events.check_origin(delivery, "https://wps.example")
    connection_events.attempt_of(delivery, await delivery.body.read())
    connection_events.check_signature(delivery, "key")


def read_names(data: bytes) -> None:
    """Names that events and messages hold."""
    name = text(data)
    keys.named_place(name, 16)
    blob_names.parse_blob_name(name)
    blob_names.file_beside(name)
    ticket_of(name)
    read_token(name)


# ----------------------------------------------------------------------------------------------------- what is set


def read_connection(data: bytes) -> None:
    """A connection string of a storage account."""
    StorageConnection.from_connection_string(text(data))


def read_settings(data: bytes) -> None:
    """App settings, a line each, those in sections too."""
    lines = [line.partition("=") for line in text(data).split("\n")]
    environment = {name: value for name, _, value in lines}
    loaded = Settings.from_environment(environment)
    Roles(loaded.roles_document)
    OriginRule.of(loaded)
    assert " " not in loaded.host
    below = Sections.of(environment)
    server_settings("FHIR", below.below("Fhir"))
    if loaded.secret_store:
        secret_store(loaded.secret_store, lambda: None)


# ---------------------------------------------------------------------------------------------- what others answer


def read_answer(data: bytes) -> None:
    """What another server says of a failure, and when to come back."""
    operation_outcome(data)
    assert 0 <= retry_after_seconds(text(data), 1_700_000_000.0) <= 300


def read_address(data: bytes) -> None:
    """The address of a next page, and the name by which another service calls itself."""
    server = Server(server_settings("FHIR", Sections.of(_FHIR).below("Fhir")), NoToken())
    normalised_base(text(data))
    server.address(text(data))


_FHIR: Final = {"Fhir__Endpoint": "https://fhir.example/r4", "Fhir__Authentication__Enabled": "false"}


def read_record(data: bytes) -> None:
    """The URI of an audit record, which holds what a caller has written."""
    path, query = path_and_query(text(data))
    assert path.startswith("/")
    assert "?" not in path
    assert "#" not in query


def read_rows(data: bytes) -> None:
    """The answer of Table Storage to a batch."""
    table_entities.batch_failure(data)


_JSON: Final = (
    b"null",
    b"[]",
    b"{}",
    b'""',
    b"NaN",
    b"1e999",
    b"-0",
    b'"\\ud800"',
    b"true",
    b"[" * 600,
    b'{"a":' * 600,
)
_SIGNS: Final = (b"&", b"=", b"%00", b"%", b"%ff", b"+", b",", b";", b'"', b"\\", b"*", b"..", b"/")

_WORDS: Final[dict[str, tuple[bytes, ...]]] = {
    "archive": (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"\xff\xff\xff\xff"),
    "codestream": (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\xff\x52", b"\xff\x90", b"jp2c", b"moov", b"avcC", b"\xff\x0a"),
    "dicom": (b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\xdd\xe0\0\0\0\0", b"SQ\0\0", b"UN\0\0", b"\\", b"\x1b$B"),
    "matching": (*_SIGNS, b"q=0.5", b"\n", b"bytes=", b'W/"', b"?", b"-"),
    "metadata-json": (*_JSON, b'"vr":"SQ"', b'"Value":[', b"/*", b'"InlineBinary":'),
    "metadata-xml": (b"<Value/>", b"<f>", b"&#0;", b"<![CDATA[", b"<!DOCTYPE a [", b'number="9"', b"<Item>" * 70),
    "multipart": (b"\r\n", b"--b", b"--b--", b"\r\n\r\n", b"A: b\r\n", b" "),
}
_COSTS: Final = {"dicom": 4, "archive": 2}

TARGETS: Final[dict[str, Target]] = {
    **{name: Target(read, (), _WORDS[name], _COSTS.get(name, 1)) for name, read in PARSERS.items()},
    "request": Target(
        REQUESTS.ask, (), (*_JSON, *_SIGNS, b"\r\n", b"/v1/", b"/v2/", b"application/dicom+xml", b"gzip")
    ),
    "token": Target(read_bearer, (MissingCredentials,), (b"TOKEN", b".", b"Bearer ", b"=", b"eyJhbGciOiJub25lIn0")),
    "provider": Target(
        read_key_set,
        (MissingCredentials, Unavailable, ValueError, KeyError, TypeError),
        (*_JSON, b"KEY", b'"d":"AQAB"', b'"kty":"oct"', b'"use":"enc"', b'"n":"AQ"', b'"e":""', b'"x5c":[]'),
    ),
    "principal": Target(read_principal, (MissingCredentials,), _JSON),
    "forwarding": Target(read_origin, (), (b"X-Forwarded-For:", b",", b"[::1]", b"%0", b"\n", b":65536")),
    "coded-body": Target(read_coded, (DicomServiceError,), (gzip.compress(b"", mtime=0), b"\x1f\x8b\x08", b"x\x9c")),
    "yaml": Target(
        read_yaml, (InvalidRequest,), (b"&a", b"*a", b"!!", b"- ", b": ", b"{", b"? ", b"---\n", b"|", b"\t")
    ),
    "cohort": Target(of_json(read_definition), (InvalidRequest,), _JSON),
    "question": Target(
        lambda data: translate(text(data)[:2000], DICTIONARY, today=date(2026, 6, 30)),
        (InvalidRequest,),
        (b" not ", b" or ", b" over 45", b"?", b"  ", b"\xc3\x9f", b"last year", b"-1", b"31.02.2026"),
        costs=10,
    ),
    "feedback": Target(
        of_json(assessment_of, reader_of, question_of, lambda document: order_of_token(str(document))),
        (InvalidRequest,),
        _JSON,
    ),
    "export": Target(
        of_json(lambda document: new_export(document, rules())),
        (InvalidRequest,),
        (
            *_JSON,
            b"?sv=1&sig=%2F",
            b"https://",
            b"..",
            b"AccountKey=",
            b"SharedAccessSignature=",
            b"@",
            b":99999",
            b"[::",
        ),
    ),
    "import-message": Target(read_import_message, (InvalidRequest,), (*_JSON, b"/import-container/", b"%2F", b"[")),
    "connection-event": Target(
        read_connection_event,
        (DicomServiceError,),
        (*_JSON, b"ce-signature: sha256=", b",", b"\xff", b"\n", b'"query":'),
    ),
    "cast-message": Target(queueing.read_message, (), _JSON),
    "name": Target(read_names, (), (b"!", b"/", b".dcm", b".json", b".off", b".", b"\0", b"shr_")),
    "connection-string": Target(
        read_connection, (Misconfigured,), (b";", b"=", b"BlobEndpoint=", b"http://[", b":99999999")
    ),
    "settings": Target(
        read_settings, (Misconfigured,), (*_JSON, b"\n", b"=", b"true", b"-1", b"1e9", b"*", b"http://[")
    ),
    "metadata-stream": Target(read_stream, (Unreadable,), (*_JSON, b"\\", b'"', b"}", b"-Infinity")),
    "search-answer": Target(lambda data: read_page(read_object(data), "Patient"), (RequestFailed,), _JSON),
    "failure-answer": Target(read_answer, (), (*_JSON, b"Fri, 31 Dec 9999 23:59:59 GMT", b"99999", b"-1", b"\xd9\xa3")),
    "address": Target(read_address, (RequestFailed,), (*_SIGNS, b"http://", b"[", b"]", b":99999", b"//", b"@", b"#")),
    "audit-record": Target(read_record, (), (*_SIGNS, b"://", b"[", b"?", b"#")),
    "table-answer": Target(read_rows, (ValueError,), (b"\r\n", b"HTTP/1.1 ", b"--batch", b"4", b"Content-ID: ")),
}
"""By the names of the folders of their seeds, in `corpus`."""


def requests_of_every_resource() -> list[bytes]:
    """A request for each method of each row of the table of resources."""
    rows = RESOURCES.values()
    return [
        f"{method} /{example_path(row.path(data_partitions=False))} HTTP/1.1\n\n".encode()
        for row in rows
        for method in row.methods
    ]
