"""Binary values that are larger than one property of a row may be (storage §4)."""

from collections.abc import Mapping

from shared.storage.ports import Value

CHUNK = 60_000
"""Bytes of one binary property; the service takes 64 KiB."""


def split(name: str, data: bytes) -> dict[str, Value]:
    """`data` as properties `name0`, `name1`, …"""
    return {f"{name}{number}": data[at : at + CHUNK] for number, at in enumerate(range(0, len(data), CHUNK))}


def join(name: str, properties: Mapping[str, Value]) -> bytes:
    """The bytes that `split` cut up; empty if there are none."""
    chunks: list[bytes] = []
    while isinstance(chunk := properties.get(f"{name}{len(chunks)}"), bytes):
        chunks.append(chunk)
    return b"".join(chunks)
