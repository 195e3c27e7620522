"""The frames between host and worker."""

import asyncio
import pickle
import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from devhost.worker.channel import Channel, Invocation


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False


async def _sent(messages: list[Any]) -> bytes:
    transport = Transport()
    sender = Channel(lambda _: None, lambda: None)
    sender.connection_made(transport)
    for message in messages:
        sender.send(message)
    await asyncio.sleep(0)
    return transport.written


@given(
    st.lists(st.one_of(st.text(), st.binary(), st.integers()), max_size=5), st.lists(st.integers(0, 200), max_size=10)
)
def test_messages_arrive_whole_however_the_bytes_are_cut(messages: list[Any], cuts: list[int]) -> None:
    written = asyncio.run(_sent(messages))
    received: list[Any] = []
    receiver = Channel(received.append, lambda: None)
    start = 0
    for end in sorted({min(cut, len(written)) for cut in cuts} | {len(written)}):
        receiver.data_received(written[start:end])
        start = end
    assert received == messages


async def test_a_message_after_the_end_is_dropped() -> None:
    closed: list[bool] = []
    channel = Channel(lambda _: None, lambda: closed.append(True))
    transport = Transport()
    channel.connection_made(transport)
    channel.connection_lost(None)
    channel.send("x")
    await asyncio.sleep(0)
    assert closed == [True]
    assert transport.written == b""


def test_an_invocation_survives_the_way() -> None:
    invocation = Invocation("i", "f", {"req": ("http", {"study": "1"})}, {})
    data = pickle.dumps(invocation, 5)
    received: list[Any] = []
    Channel(received.append, lambda: None).data_received(struct.pack("<Q", len(data)) + data)
    assert received == [invocation]
