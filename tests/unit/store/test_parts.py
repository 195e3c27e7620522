"""The parts of a body whose delimiters, or what begins like one, come one after the other."""

import pytest

from shared.dicomweb.multipart import MultipartReader, PartData, PartEnd, PartHeaders
from shared.store.parts import read_parts
from tests.builders.store import chunks_of

KIB = 1024


@pytest.mark.spec("STOW-46")
@pytest.mark.parametrize("unit", [b"\r\n--bx", b"\r\n--b\r\n\r\n", b"\r\n--b\r\nA: c\r\n\r\nx"])
async def test_a_dense_body_is_looked_at_in_steps_to_the_same_events(unit, monkeypatch):
    body = b"--b\r\n\r\n" + unit * (60 * KIB // len(unit)) + b"\r\n--b--"
    sizes, feed = [], MultipartReader.feed
    monkeypatch.setattr(MultipartReader, "feed", lambda reader, piece: sizes.append(len(piece)) or feed(reader, piece))

    async def events(size):
        found = []

        async def take(event):
            if isinstance(event, PartData) and found and isinstance(found[-1], PartData):
                event = PartData(found.pop().data + event.data)
            found.append(event)

        await read_parts(b"b", chunks_of(body, size), take)
        return found

    in_steps = await events(len(body))
    assert max(sizes) <= 16 * KIB
    assert in_steps == await events(KIB)
    assert {type(event) for event in in_steps} >= {PartHeaders, PartEnd}


async def test_a_body_of_few_parts_is_taken_as_it_comes(monkeypatch):
    sizes, feed = [], MultipartReader.feed
    monkeypatch.setattr(MultipartReader, "feed", lambda reader, piece: sizes.append(len(piece)) or feed(reader, piece))

    async def take(_):
        return

    body = b"--b\r\n\r\n" + bytes(200 * KIB) + b"\r\n--b--"
    await read_parts(b"b", chunks_of(body, len(body)), take)
    assert sizes == [len(body)]
