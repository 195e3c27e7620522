"""Clients that go away in the middle of an upload: nothing becomes visible, nothing stays, memory comes back."""

import asyncio
from collections.abc import AsyncIterator

import psutil
import pytest

from devhost.testing import RunningService, running_azurite
from tests.builders.images import image, multipart, new_uid
from tests.integration.crashes.archive import Archive, patient_of
from tests.integration.crashes.service import with_everything
from tests.integration.crashes.stored import Stored

MiB = 1024**2
_IN_THE_FIRST_HEADER = 300
_SPARE_MEMORY = 96 * MiB


@pytest.fixture(scope="module")
async def scene() -> AsyncIterator[tuple[RunningService, Archive, Stored]]:
    async with running_azurite() as azurite, with_everything(azurite.connection_string) as parts:
        yield parts


async def send_some(url: str, body: bytes, content_type: str, length: int, *, chunked: bool, reset: bool) -> None:
    """Send the first `length` bytes of a body, then hang up."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = f"POST /v2/studies HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {content_type}\r\n{framing}\r\n\r\n"
    writer.write(head.encode())
    for at in range(0, length, MiB):
        piece = body[at : min(at + MiB, length)]
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        await writer.drain()
    await asyncio.sleep(0.3)  # what was sent is being worked on
    if reset:
        writer.transport.abort()
    else:
        writer.close()
    del reader


async def is_idle(service: RunningService) -> bool:
    """The worker has no request of ours under way any more: its memory is what it was."""
    [pid] = await service.worker_pids()
    first = psutil.Process(pid).cpu_times().user
    await asyncio.sleep(0.5)
    return psutil.Process(pid).cpu_times().user - first < 0.1


async def memory(service: RunningService) -> int:
    """Of the worker, once it rests."""
    for _ in range(40):
        if await is_idle(service):
            break
    [pid] = await service.worker_pids()
    return int(psutil.Process(pid).memory_info().rss)


@pytest.mark.spec("STOW-6", "STOW-7", "STOW-44", "P-4")
@pytest.mark.parametrize("chunked", [False, True])
async def test_an_upload_that_breaks_off_anywhere_leaves_nothing(scene, chunked):
    service, archive, stored = scene
    study = new_uid()
    small = image(study, size=(64, 64), PatientID=patient_of(study))
    large = image(study, size=(3000, 3000), bits=16, PatientID=patient_of(study))  # 17 MiB: staged as blocks
    body, content_type = multipart([small.data, large.data, small.data])
    before = await stored.blobs()
    lengths = [
        0,
        _IN_THE_FIRST_HEADER,
        len(small.data) - 100,
        len(small.data) + 400,
        len(small.data) + 9 * MiB,
        len(small.data) + len(large.data) - 1000,
        len(body) - 1,
    ]

    await asyncio.gather(
        *(
            send_some(service.url, body, content_type, length, chunked=chunked, reset=bool(number % 2))
            for number, length in enumerate(lengths)
        )
    )
    await memory(service)

    assert await stored.blobs() == before
    for one in (small, large):
        assert await archive.file_of(one.path) is None
        assert await archive.search(f"instances?SOPInstanceUID={one.identifier.sop_instance_uid}") == []
    assert await archive.search(f"studies?PatientID={patient_of(study)}") == []
    [facts] = await stored.facts([study])
    assert facts.entities == []
    # The same client comes again: what the first attempts have staged is in nobody's way.
    assert (await archive.store([small, large])).status == 200
    assert await archive.file_of(large.path) == large.data


@pytest.mark.spec("P-4", "STOW-44")
async def test_memory_comes_back_after_uploads_that_broke_off(scene):
    service, _, _ = scene
    one = image(new_uid(), size=(3000, 3000), bits=16)
    body, content_type = multipart([one.data])

    async def round_of_lost_clients() -> int:
        lost = (
            send_some(service.url, body, content_type, 8 * MiB - number * 1000, chunked=False, reset=True)
            for number in range(8)
        )
        await asyncio.gather(*lost)
        return await memory(service)

    first = await round_of_lost_clients()
    for _ in range(4):
        last = await round_of_lost_clients()

    assert last - first < _SPARE_MEMORY  # 32 further clients had left 256 MiB with it
