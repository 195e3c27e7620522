"""What only shows on a running service: large bodies, clients that go away, workers that die, dropped files."""

import asyncio
import socket
import time
from contextlib import suppress

import pytest
import requests
from azure.storage.blob import ContainerClient

from tests.builders.files import file
from tests.builders.images import image, multipart, new_uid

DICOM = "application/dicom"
MiB = 1024**2


@pytest.fixture
def container(own_service):
    with ContainerClient.from_connection_string(own_service.connection_string, "dicom") as client:
        yield client


def blobs_of(container, one):
    return [blob.name for blob in container.list_blobs() if one.identifier.study_instance_uid in blob.name]


def retrieve(service, one):
    headers = {"Accept": f"{DICOM}; transfer-syntax=*"}
    return requests.get(f"{service.url}/v2/{one.path}", headers=headers, timeout=60)


def eventually(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


def zeros(megabytes):
    for _ in range(megabytes):
        yield bytes(MiB)


@pytest.mark.spec("STOW-8", "D-9", "P-4")
async def test_a_body_that_is_too_large_is_413_and_never_a_reset(fresh_service):
    service = await fresh_service({"MAX_REQUEST_BYTES": str(4 * MiB), "MAX_FILE_BYTES": str(MiB)})

    def post(body, content_type=DICOM):
        return requests.post(f"{service.url}/v2/studies", data=body, headers={"Content-Type": content_type}, timeout=60)

    def check():
        for body in (bytes(3 * MiB), bytes(80 * MiB), zeros(3), zeros(80)):
            assert post(body).status_code == 413
        several, content_type = multipart([file().data, image(size=(1200, 1200)).data, file().data])
        assert post(several, content_type).status_code == 413
        fitting = file()
        assert post(fitting.data).status_code == 200
        with ContainerClient.from_connection_string(service.connection_string, "dicom") as client:
            assert len([blob.name for blob in client.list_blobs() if blob.name.endswith(".dcm")]) == 1

    await asyncio.to_thread(check)


@pytest.mark.spec("STOW-6")
async def test_a_client_that_goes_away_leaves_nothing(own_service, container):
    one, two = file(), image(size=(2000, 2000), bits=16)
    body, content_type = multipart([one.data, two.data])
    host, port = own_service.url.removeprefix("http://").split(":")
    head = (
        f"POST /v2/studies HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()

    def hang_up():
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(head + body[:-1000])
            time.sleep(0.5)
        time.sleep(0.5)

    await asyncio.to_thread(hang_up)

    assert blobs_of(container, one) == []
    assert blobs_of(container, two) == []
    assert (await asyncio.to_thread(retrieve, own_service, one)).status_code == 404


@pytest.mark.spec("P-2", "S-7")
async def test_a_file_that_somebody_drops_into_the_container_is_indexed(own_service, container):
    one = image(frames=2, size=(300, 300), bits=16)

    def drop():
        container.upload_blob(f"inbox/{new_uid()}.dcm", one.data)
        assert eventually(lambda: retrieve(own_service, one).status_code == 200)
        assert retrieve(own_service, one).content == one.data

    await asyncio.to_thread(drop)


@pytest.mark.spec("P-2", "STOW-42", "CON-3")
async def test_a_worker_that_dies_in_a_store_leaves_each_instance_whole_or_absent(fresh_service):
    service = await fresh_service()
    study = new_uid()
    batches = [[file(study=study) for _ in range(20)] for _ in range(6)]

    def post(files):
        body, content_type = multipart([one.data for one in files])
        with suppress(requests.RequestException):
            headers = {"Content-Type": content_type}
            return requests.post(f"{service.url}/v2/studies", data=body, headers=headers, timeout=60).status_code
        return 0

    posts = [asyncio.create_task(asyncio.to_thread(post, files)) for files in batches]
    await asyncio.sleep(0.15)
    killed = await service.kill_worker()
    statuses = await asyncio.gather(*posts)
    await service.await_workers(other_than=killed)

    def check():
        def settled():
            found = requests.get(f"{service.url}/v2/studies/{study}/metadata", timeout=60)
            with ContainerClient.from_connection_string(service.connection_string, "dicom") as client:
                durable = {blob.name.split("/")[-2] for blob in client.list_blobs() if blob.name.endswith(".dcm")}
            indexed = {item["00080018"]["Value"][0] for item in found.json()} if found.status_code == 200 else set()
            return (indexed == durable, indexed)

        assert eventually(lambda: settled()[0], 60)
        _, indexed = settled()
        for files, status in zip(batches, statuses, strict=True):
            for one in files:
                there = one.identifier.sop_instance_uid in indexed
                assert there or status != 200
                reply = retrieve(service, one)
                assert reply.status_code == (200 if there else 404)
                assert reply.content == one.data or not there
        again = post([one for files in batches for one in files])
        assert again in {200, 202, 409}
        found = requests.get(f"{service.url}/v2/studies/{study}/metadata", timeout=60)
        assert len(found.json()) == 120

    await asyncio.to_thread(check)
