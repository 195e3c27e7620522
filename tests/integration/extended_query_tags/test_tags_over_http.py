"""Extended query tags over HTTP, in several processes, one of which is killed."""

import asyncio

import pytest
import requests

from tests.builders.files import file
from tests.integration.devhost.waiting import eventually

AGE = 0x00101010
TAGS = "extendedquerytags"
OPTIONS = ("--http-only", "--no-blob-events")


class Client:
    def __init__(self, url):
        self.url = f"{url}/v2"

    async def ask(self, method, path, **options):
        return await asyncio.to_thread(requests.request, method, f"{self.url}/{path}", timeout=60, **options)


@pytest.mark.timeout(300)
@pytest.mark.spec("EQT-22", "EQT-52", "EQT-55", "OP-4", "QIDO-17")
async def test_tags_are_known_to_every_process_and_outlive_all_of_them(fresh_service, azurite):
    storage = {"AzureWebJobsStorage": azurite.connection_string}
    service = await fresh_service(storage, workers=2, options=OPTIONS)
    client = Client(service.url)
    one = file({AGE: ("AS", "042Y")})
    headers = {"Content-Type": "application/dicom"}
    assert (await client.ask("POST", "studies", data=one.data, headers=headers)).status_code == 200

    added = await client.ask("POST", TAGS, json=[{"path": "PatientAge", "level": "Study"}])
    assert added.status_code == 202, added.text
    href = added.headers["Location"]
    assert added.json() == {"id": href.rpartition("/")[2], "href": href}
    state = await client.ask("GET", f"operations/{added.json()['id']}")
    assert state.status_code == 202
    assert state.json()["resources"] == [f"{client.url}/{TAGS}/00101010"]
    again = await client.ask("POST", TAGS, json=[{"path": "PatientSex", "level": "Study"}])
    assert (again.status_code, again.headers["Location"]) == (409, href)

    await service.kill()
    service = await fresh_service(storage, workers=2, options=OPTIONS)
    client = Client(service.url)
    [tag] = (await client.ask("GET", TAGS)).json()
    assert (tag["path"], tag["status"], tag["operation"]["id"]) == ("00101010", "adding", added.json()["id"])
    for _ in range(4):  # of which some reach each process
        assert (await client.ask("GET", "studies?PatientAge=042Y")).status_code == 400
    disabled = await client.ask("PATCH", f"{TAGS}/PatientAge", json={"queryStatus": "Disabled"})
    assert (disabled.status_code, disabled.json()["queryStatus"]) == (200, "disabled")
    assert (await client.ask("DELETE", f"{TAGS}/PatientAge")).status_code == 204
    for _ in range(4):
        assert (await client.ask("GET", f"{TAGS}/PatientAge")).status_code == 404

    async def is_stored_without_it():
        return (await client.ask("POST", "studies", data=file().data, headers=headers)).status_code == 200

    await eventually(is_stored_without_it, 30)
