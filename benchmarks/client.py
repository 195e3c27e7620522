"""The DICOMweb requests that scenarios send; every answer is checked, because a fast error is not a result."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Collection, Sequence

import aiohttp
import orjson

from benchmarks import instances

_MULTIPART = 'multipart/related; type="application/dicom"; transfer-syntax=*'


class Client:
    """DICOMweb over one pool of connections. `multipart`: also one file goes as multipart, which every server takes."""

    def __init__(self, url: str, session: aiohttp.ClientSession, *, multipart: bool = False) -> None:
        self._url, self._session, self._multipart = url.rstrip("/"), session, multipart

    def of_version(self, version: str) -> "Client":
        """The same service by another version of its API."""
        return Client(f"{self._url.rpartition('/')[0]}/{version}", self._session, multipart=self._multipart)

    async def store_studies(self, first: int, count: int, instances_each: int, *, clients: int) -> None:
        """POST so many studies of small instances, a request for each, by several clients at once."""
        small = instances.small()
        numbers = iter(range(first, first + count))

        async def store() -> None:
            for study in numbers:
                await self.store([small.instance(study, 0, number) for number in range(instances_each)])

        await asyncio.gather(*(store() for _ in range(clients)))

    async def store(self, files: Sequence[bytes], *, expect: Collection[int] = (200,)) -> None:
        """POST one file as application/dicom, several as multipart/related."""
        headers = {"Accept": "application/dicom+json"}
        if len(files) == 1 and not self._multipart:
            body, headers["Content-Type"] = files[0], "application/dicom"
        else:
            boundary = uuid.uuid4().hex
            pieces: list[bytes] = []
            for content in files:
                pieces += [f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode(), content, b"\r\n"]
            body = b"".join([*pieces, f"--{boundary}--\r\n".encode()])
            headers["Content-Type"] = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
        async with self._session.post(f"{self._url}/studies", data=body, headers=headers) as response:
            await response.read()
            assert response.status in expect, response.status

    async def store_stream(self, chunks: AsyncIterator[bytes]) -> None:
        """POST one file whose bytes are made while they are sent."""
        headers = {"Accept": "application/dicom+json", "Content-Type": "application/dicom"}
        async with self._session.post(f"{self._url}/studies", data=chunks, headers=headers) as response:
            await response.read()
            assert response.status == 200, response.status

    async def get(self, path: str, accept: str, *, expect: int = 200, coding: str = "identity") -> int:
        """GET and read the body to its end; returns its length in bytes, decoded."""
        length = 0
        headers = {"Accept": accept, "Accept-Encoding": coding}
        async with self._session.get(f"{self._url}/{path}", headers=headers) as response:
            assert response.status == expect, (response.status, path.partition("?")[0])
            async for chunk in response.content.iter_chunked(1 << 20):
                length += len(chunk)
        return length

    async def json(self, path: str) -> object:
        """GET a JSON document."""
        async with self._session.get(f"{self._url}/{path}", headers={"Accept": "application/json"}) as response:
            assert response.status == 200, response.status
            return await response.json()

    async def instance(self, path: str, *, length: int = 0) -> None:
        """GET an instance as stored; `length`: the bytes of its file, which are checked."""
        single = "application/dicom; transfer-syntax=*"
        received = await self.get(path, _MULTIPART if self._multipart else single)
        assert received >= length if self._multipart or not length else received == length, received

    async def post_json(self, path: str, document: object, *, expect: int) -> None:
        """POST a JSON document."""
        async with self._session.post(f"{self._url}/{path}", json=document) as response:
            await response.read()
            assert response.status == expect, response.status

    async def send_data_set(self, method: str, path: str, data_set: object, *, expect: int) -> None:
        """Send a data set as DICOM JSON."""
        body, headers = orjson.dumps(data_set), {"Content-Type": "application/dicom+json"}
        async with self._session.request(method, f"{self._url}/{path}", data=body, headers=headers) as response:
            await response.read()
            assert response.status == expect, response.status

    async def search(self, query: str, *, at_least: int = 0) -> int:
        """GET studies?query; returns the number of results, which is checked."""
        async with self._session.get(
            f"{self._url}/studies?{query}", headers={"Accept": "application/dicom+json"}
        ) as response:
            assert response.status in (200, 204), response.status
            found = len(await response.json(content_type=None)) if response.status == 200 else 0
        assert found >= at_least, (found, at_least)
        return found

    async def health(self) -> None:
        """GET health/check, which answers from memory."""
        async with self._session.get(f"{self._url.rpartition('/')[0]}/health/check") as response:
            await response.read()
            assert response.status == 200, response.status
