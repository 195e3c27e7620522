"""The wire format of rows and writes of the Table service, and the limits that it sets. Pure.

Entities are OData JSON with minimal metadata: an Edm.Int64 is a string beside its type, Edm.Binary is base64. An entity
group transaction is a multipart/mixed batch holding one change set.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from math import isfinite, isnan
from typing import Any
from urllib.parse import quote

import orjson

from shared.storage.ports import Entity, RowWrite, Value

MAX_OPERATIONS = 100
MAX_BATCH_BYTES = 4 * 1024**2
MAX_ENTITY_BYTES = 1024**2
MAX_PROPERTIES = 252
MAX_BINARY_BYTES = 64 * 1024
MAX_STRING_UNITS = 32 * 1024
MAX_KEY_UNITS = 512
MAX_PAGE = 1000

JSON = "application/json;odata=minimalmetadata"

_METHODS = {"insert": "POST", "upsert": "PUT", "replace": "PUT", "merge": "PATCH", "delete": "DELETE"}
_TYPE = "@odata.type"
_OPERATION_OVERHEAD = 600  # headers and boundary of one operation in a batch, without keys and properties
_KEY_BYTES = 12  # of a UTF-16 unit at most: percent-encoded in the URL, and as JSON
_FORBIDDEN_IN_KEYS = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_SYSTEM_PROPERTIES = frozenset({"PartitionKey", "RowKey", "Timestamp"})


def utf16_units(text: str) -> int:
    """Length as the service counts it. Raises ValueError for what is not Unicode text (lone surrogates)."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        raise ValueError("A text or key is not valid Unicode") from None  # the codec's error holds the text


# --------------------------------------------------------------------------------------------------------- limits


def check(operations: Sequence[RowWrite]) -> None:
    """Raise ValueError unless the service would take `operations` as one entity group transaction.

    Texts name the limit, never a key or a value.
    """
    if not 1 <= len(operations) <= MAX_OPERATIONS:
        raise ValueError(f"An entity group transaction holds 1 to {MAX_OPERATIONS} operations")
    partition_key = operations[0].partition_key
    if any(operation.partition_key != partition_key for operation in operations):
        raise ValueError("An entity group transaction stays inside one partition")
    if len({operation.row_key for operation in operations}) != len(operations):
        raise ValueError("An entity group transaction names each row once")
    _check_key(partition_key)
    payload = 0
    for operation in operations:
        _check_key(operation.row_key)
        if not operation.etag:
            raise ValueError("A conditional write needs an etag")
        if operation.verb != "delete":
            payload += _check_properties(operation)
        payload += _OPERATION_OVERHEAD + _KEY_BYTES * (len(partition_key) + len(operation.row_key))
    # The estimate assumes that every character is escaped: only what may be too large is encoded to find out.
    if payload > MAX_BATCH_BYTES and _exact_payload(operations) > MAX_BATCH_BYTES:
        raise ValueError("An entity group transaction has at most 4 MiB")


def _check_key(key: str) -> None:
    if utf16_units(key) > MAX_KEY_UNITS:
        raise ValueError("A key has at most 512 UTF-16 units")
    if _FORBIDDEN_IN_KEYS.search(key):
        raise ValueError("A key holds no control character and none of / \\ # ?")


def _check_properties(operation: RowWrite) -> int:
    """An upper bound of the bytes that the properties take on the wire."""
    properties = operation.properties
    if len(properties) > MAX_PROPERTIES:
        raise ValueError(f"An entity has at most {MAX_PROPERTIES} properties")
    stored = 4 + 2 * (len(operation.partition_key) + len(operation.row_key))
    wire = 0
    for name, value in properties.items():
        if name in _SYSTEM_PROPERTIES or not name.isidentifier() or len(name) > 255:
            raise ValueError("A property name is an identifier of at most 255 characters, and not a system property's")
        stored += 8 + 2 * len(name)
        wire += 2 * len(name) + 40
        if isinstance(value, str):
            units = utf16_units(value)
            if units > MAX_STRING_UNITS:
                raise ValueError("A text has at most 32 Ki UTF-16 units")
            stored += 2 * units + 4
            wire += 6 * units
        elif isinstance(value, bytes):
            if len(value) > MAX_BINARY_BYTES:
                raise ValueError("A binary value has at most 64 KiB")
            stored += len(value) + 4
            wire += 4 * len(value) // 3 + 4
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError("A number has at most 64 bits")
        else:
            stored += 8
            wire += 24
    if stored > MAX_ENTITY_BYTES:
        raise ValueError("An entity has at most 1 MiB")
    return wire


def _exact_payload(operations: Sequence[RowWrite]) -> int:
    return sum(
        _OPERATION_OVERHEAD
        + len(quote(operation.partition_key + operation.row_key, safe=""))
        + (0 if operation.verb == "delete" else len(encode(operation)))
        for operation in operations
    )


# ------------------------------------------------------------------------------------------------------- entities


def encode(operation: RowWrite) -> bytes:
    """The entity of an insert, upsert, replace or merge."""
    document: dict[str, object] = {"PartitionKey": operation.partition_key, "RowKey": operation.row_key}
    for name, value in operation.properties.items():
        if isinstance(value, str | bool):
            document[name] = value
        elif isinstance(value, int):
            document[name + _TYPE] = "Edm.Int64"
            document[name] = str(value)
        elif isinstance(value, bytes):
            document[name + _TYPE] = "Edm.Binary"
            document[name] = b64encode(value).decode("ascii")
        else:
            document[name + _TYPE] = "Edm.Double"
            document[name] = value if isfinite(value) else _infinite(value)
    return orjson.dumps(document)


def _infinite(value: float) -> str:
    if isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def decode(document: dict[str, Any]) -> Entity:
    """The entity of one JSON object with minimal metadata. Takes the object over and changes it."""
    etag = document.pop("odata.etag", "")
    partition_key = document.pop("PartitionKey", "")
    row_key = document.pop("RowKey", "")
    for name in [name for name in document if "odata." in name]:
        kind = document.pop(name)
        name = name.removesuffix(_TYPE)  # noqa: PLW2901 - annotation and property differ by the suffix only
        value = document.get(name)
        if value is None:
            continue
        if kind == "Edm.Int64":
            document[name] = int(value)
        elif kind == "Edm.Binary":
            document[name] = b64decode(value)
        elif kind == "Edm.Double":
            document[name] = float(value)
    document.pop("Timestamp", None)
    if None in document.values():  # the service answers null for a selected property that the row lacks
        document = {name: value for name, value in document.items() if value is not None}
    properties: Mapping[str, Value] = document
    return Entity(partition_key, row_key, properties, etag)


# ------------------------------------------------------------------------------------------------------- requests


def row_path(table: str, partition_key: str, row_key: str) -> str:
    """The path of one row, percent-encoded."""
    return f"{table}(PartitionKey='{_literal(partition_key)}',RowKey='{_literal(row_key)}')"


def range_query(partition_key: str, low: str, high: str, top: int | None, select: Sequence[str] | None) -> str:
    """The query string of a range read: low ≤ RowKey < high in one partition."""
    clauses = [f"PartitionKey eq '{_quoted(partition_key)}'"]
    if low:
        clauses.append(f"RowKey ge '{_quoted(low)}'")
    clauses.append(f"RowKey lt '{_quoted(high)}'")
    query = "$filter=" + quote(" and ".join(clauses), safe="")
    if select is not None:
        query += "&$select=" + quote(",".join(("PartitionKey", "RowKey", *select)), safe=",")
    return query if top is None else f"{query}&$top={top}"


def single_request(table: str, operation: RowWrite) -> tuple[str, str, dict[str, str], bytes | None]:
    """Method, path, further headers and body of one write outside a batch."""
    headers: dict[str, str] = {}
    path = table
    if operation.verb == "insert":
        headers["Prefer"] = "return-no-content"
    else:
        path = row_path(table, operation.partition_key, operation.row_key)
        if operation.verb != "upsert":
            headers["If-Match"] = operation.etag
    if operation.verb == "delete":
        return "DELETE", path, headers, None
    headers["Content-Type"] = "application/json"
    return _METHODS[operation.verb], path, headers, encode(operation)


def batch_request(endpoint: str, table: str, operations: Sequence[RowWrite], unique: str) -> tuple[str, bytes]:
    """Content type and body of one entity group transaction. `unique` occurs in no key or value."""
    changes = f"changeset_{unique}"
    head = f"--{changes}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    common = f"Accept: {JSON}\r\nDataServiceVersion: 3.0\r\n"
    rows = f"{endpoint}/{table}(PartitionKey='{_literal(operations[0].partition_key)}',RowKey='"
    parts = [f"--batch_{unique}\r\nContent-Type: multipart/mixed; boundary={changes}\r\n\r\n".encode()]
    for operation in operations:
        verb = operation.verb
        if verb == "insert":
            line = f"POST {endpoint}/{table} HTTP/1.1\r\nPrefer: return-no-content\r\n"
        else:
            line = f"{_METHODS[verb]} {rows}{_literal(operation.row_key)}') HTTP/1.1\r\n"
            if verb != "upsert":
                line += f"If-Match: {operation.etag}\r\n"
        if verb == "delete":
            parts.append(f"{head}{line}{common}\r\n\r\n".encode())
        else:
            entity = encode(operation)
            length = len(entity)
            parts += (
                f"{head}{line}{common}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode(),
                entity,
                b"\r\n",
            )
    parts.append(f"--{changes}--\r\n--batch_{unique}--\r\n".encode())
    return f"multipart/mixed; boundary=batch_{unique}", b"".join(parts)


def batch_failure(body: bytes) -> tuple[int, bytes] | None:
    """Status and JSON error of the operation that failed, or None when the answer says that all were applied.

    Raises ValueError when the answer says neither.
    """
    status = 0
    at = body.find(b"HTTP/1.1 ")
    while at >= 0:
        status = int(body[at + 9 : at + 12])
        if status < 100:
            raise ValueError("A status was cut short in the batch")
        if status >= 300:
            return status, body[body.find(b"{", at) : body.rfind(b"}") + 1]
        at = body.find(b"HTTP/1.1 ", at + 12)
    if not status:
        raise ValueError("No answer in the batch")
    return None


def _quoted(key: str) -> str:
    return key.replace("'", "''")


def _literal(key: str) -> str:
    return quote(_quoted(key), safe="")
