"""Files that are dropped into the import container of a running service."""

import asyncio
import base64
import contextlib
import itertools
import json
import statistics
import struct

import psutil
import pytest
from aiohttp import ClientSession
from azure.storage.blob.aio import ContainerClient
from azure.storage.queue import TextBase64DecodePolicy
from azure.storage.queue.aio import QueueClient

from devhost.testing import RunningService
from tests.builders.files import PATIENT_NAME, file
from tests.builders.images import image, new_uid
from tests.integration.devhost.waiting import eventually

ON = {"BULK_IMPORT_ENABLED": "true"}
MiB = 1024**2


class Import:
    """The service, and its containers and queues as an uploader sees them."""

    def __init__(self, service, files, errors, client):
        self.service = service
        self.files = files
        self.errors = errors
        self.client = client

    async def drop(self, name, data, **options):
        await self.files.upload_blob(name, data, **options)

    async def names(self, container):
        return [blob.name async for blob in container.list_blobs()]

    async def empty(self, seconds=60):
        """Wait until every file has left the import container."""

        async def is_empty():
            return not await self.names(self.files)

        await eventually(is_empty, seconds)

    async def content(self, one):
        headers = {"Accept": "application/dicom; transfer-syntax=*"}
        async with self.client.get(f"{self.service.url}/v2/{one.path}", headers=headers) as answer:
            return await answer.read() if answer.status == 200 else None

    async def instances(self, study):
        async with self.client.get(f"{self.service.url}/v2/studies/{study}/instances?limit=200") as answer:
            return len(await answer.json()) if answer.status == 200 else 0

    async def error_records(self):
        """Take what is in the error queue."""
        found = []
        async with QueueClient.from_connection_string(
            self.service.connection_string, "error-queue", message_decode_policy=TextBase64DecodePolicy()
        ) as queue:
            async for message in queue.receive_messages():
                found.append(json.loads(message.content))
                await queue.delete_message(message)
        return sorted(found, key=lambda record: record["blobName"])


@pytest.fixture
async def imports(fresh_service):
    """Start a service with bulk import and open its containers."""
    clients = []

    async def start(settings=None, **options):
        service: RunningService = await fresh_service({**ON, **(settings or {})}, **options)
        connection = service.connection_string
        pieces = {"max_single_put_size": MiB, "max_block_size": MiB}
        files = ContainerClient.from_connection_string(connection, "import-container", **pieces)
        errors = ContainerClient.from_connection_string(connection, "error-container")
        client = ClientSession()
        clients.extend((files, errors, client))
        return Import(service, files, errors, client)

    yield start
    for client in clients:
        await client.close()


@pytest.mark.spec("IMP-3", "IMP-4", "IMP-5", "IMP-6", "IMP-7", "IMP-8", "IMP-9")
async def test_files_are_stored_or_end_in_a_record(imports):
    inbox = await imports()
    plain, large, known = file(), image(frames=40, size=(512, 512), bits=16), file()
    identifier = known.identifier
    uids = {
        "study": identifier.study_instance_uid,
        "series": identifier.series_instance_uid,
        "sop_instance": identifier.sop_instance_uid,
    }
    await inbox.drop("known.dcm", known.data)
    await inbox.empty()

    await asyncio.gather(
        inbox.drop("a/b ü#1.dcm", plain.data),
        inbox.drop("large", large.data),
        inbox.drop("again.dcm", known.data),
        inbox.drop("conflict.dcm", file({PATIENT_NAME: "Else^Somebody"}, **uids).data),
        inbox.drop("notes 100%.txt", b"These are notes."),
        inbox.drop("empty", b""),
    )
    await inbox.empty()

    for one in (plain, large, known):
        assert await inbox.content(one) == one.data
    assert await inbox.names(inbox.errors) == ["conflict.dcm", "empty", "notes 100%.txt"]
    records = await inbox.error_records()
    assert [(record["blobName"], record["failureReason"]) for record in records] == [
        ("conflict.dcm", 45070),
        ("empty", 43264),
        ("notes 100%.txt", 43264),
    ]
    assert (await (await inbox.errors.download_blob("notes 100%.txt")).readall()) == b"These are notes."


@pytest.mark.spec("IMP-10", "IMP-8", "P-2")
async def test_a_worker_that_dies_loses_no_file(imports):
    inbox = await imports({"AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01"})
    study = new_uid()
    files = [file(study=study) for _ in range(40)]
    await asyncio.gather(*(inbox.drop(f"{number}.dcm", one.data) for number, one in enumerate(files)))
    await inbox.drop("notes.txt", b"no DICOM")

    async def begun():
        return await inbox.instances(study) > 0

    await eventually(begun)
    killed = await inbox.service.kill_worker()
    await inbox.service.await_workers(other_than=killed)
    await inbox.empty(120)

    assert await inbox.instances(study) == 40
    assert {record["blobName"] for record in await inbox.error_records()} == {"notes.txt"}
    assert await inbox.names(inbox.errors) == ["notes.txt"]


@pytest.mark.spec("IMP-8", "P-2")
async def test_a_host_that_dies_goes_on_where_it_was(imports):
    inbox = await imports()
    study = new_uid()
    files = [file(study=study) for _ in range(20)]
    await asyncio.gather(*(inbox.drop(f"{number}.dcm", one.data) for number, one in enumerate(files[:10])))
    await inbox.service.kill()
    await asyncio.gather(*(inbox.drop(f"{number + 10}.dcm", one.data) for number, one in enumerate(files[10:])))
    await inbox.service.start()

    async def stored():
        return await inbox.instances(study) == 20

    # A message that the host held when it died is invisible for ten minutes; the others must not wait for it.
    await eventually(stored, 60) if await _none_is_held(inbox) else await _release(inbox)
    await eventually(stored, 60)
    await inbox.empty()
    assert await inbox.error_records() == []


async def _none_is_held(inbox):
    async with QueueClient.from_connection_string(inbox.service.connection_string, "import-queue") as queue:
        visible = len(await queue.peek_messages(max_messages=32))
        return (await queue.get_queue_properties()).approximate_message_count == visible


async def _release(inbox):
    """Announce the files again whose messages are held, as the timer does once the queue is empty."""
    async with QueueClient.from_connection_string(inbox.service.connection_string, "import-queue") as queue:
        for name in await inbox.names(inbox.files):
            await queue.send_message(base64.b64encode(json.dumps({"blobName": name}).encode()).decode())


async def _check_no_growth(imports, count):
    """Import so many files, a hundred to a study and at a time, and look at the memory of the worker in between."""
    inbox = await imports()
    [worker] = await inbox.service.worker_pids()
    process = psutil.Process(worker)
    sizes = []
    for start in range(0, count, 100):
        study = new_uid()
        series = new_uid()
        files = [file(study=study, series=series) for _ in range(100)]
        await asyncio.gather(*(inbox.drop(f"{start + n}.dcm", one.data) for n, one in enumerate(files)))
        await inbox.empty(240)
        sizes.append(process.memory_info().rss)
        assert await inbox.instances(study) == 100
    assert await inbox.error_records() == []
    # The first files fill caches and pools; what comes after must not add up. The median of the slopes between all
    # pairs: a leak adds to every pair, an arena that a thread opens once only to few.
    settled = sizes[len(sizes) // 3 :]
    pairs = itertools.combinations(enumerate(settled), 2)
    per_file = statistics.median((later - size) / (100 * (n - m)) for (m, size), (n, later) in pairs)
    assert per_file < 10_000, f"{per_file:.0f} bytes a file: {[size // MiB for size in sizes]}"


@pytest.mark.timeout(900)
@pytest.mark.spec("IMP-4", "P-4")
async def test_hundreds_of_files_are_imported_without_growth(imports):
    await _check_no_growth(imports, 700)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.spec("IMP-4", "P-4")
async def test_ten_thousand_files_are_imported_without_growth(imports):
    await _check_no_growth(imports, 10_000)


FRAME = bytes(range(256)) * 2048
"""512 × 512 of 16 bits."""


def multi_frame(frames):
    """A file of so many frames: what identifies it, its length, and its content, made while it is read."""
    short = {0x00280002: 1, 0x00280010: 512, 0x00280011: 512, 0x00280100: 16, 0x00280101: 16, 0x00280102: 15}
    elements = {tag: ("US", struct.pack("<H", value)) for tag, value in {**short, 0x00280103: 0}.items()}
    one = file({**elements, 0x00280004: ("CS", "MONOCHROME2"), 0x00280008: ("IS", str(frames))})
    head = one.data + struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, frames * len(FRAME))

    async def content():
        yield head
        for _ in range(frames):
            yield FRAME

    return one, len(head) + frames * len(FRAME), content()


async def peak_memory(process, stopped):
    """The most that a process has had in memory until told to stop."""
    peak = 0
    while not stopped.is_set():
        peak = max(peak, process.memory_info().rss)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), 0.02)
    return peak


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.spec("IMP-4", "P-4")
async def test_a_file_of_two_gigabytes_is_imported_in_little_memory(imports):
    if psutil.virtual_memory().available < 8 << 30:
        pytest.skip("the emulator holds the file twice in memory")
    inbox = await imports()
    [worker] = await inbox.service.worker_pids()
    process = psutil.Process(worker)
    small, _, content = multi_frame(64)
    await inbox.drop("warm.dcm", content)
    await inbox.empty()
    before, stopped = process.memory_info().rss, asyncio.Event()
    watching = asyncio.create_task(peak_memory(process, stopped))

    frames = 4095
    one, length, content = multi_frame(frames)
    assert 2 * 10**9 < length < 2**31
    await inbox.drop("large.dcm", content)
    await inbox.empty(1800)
    stopped.set()
    grown = await watching - before

    assert await inbox.instances(small.identifier.study_instance_uid) == 1
    assert await inbox.error_records() == []
    accept = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
    url = f"{inbox.service.url}/v2/{one.path}/frames/1,{frames}"
    async with inbox.client.get(url, headers=accept) as answer:
        assert answer.status == 200
        assert (await answer.read()).count(FRAME) == 2

    assert grown < 128 * MiB, f"{grown >> 20} MiB"
