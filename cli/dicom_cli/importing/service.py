"""The DICOMweb service as an import asks it: which store it is, and which instances it has."""

import asyncio
import json
from collections.abc import Mapping
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout

from dicom_cli.connection import checked, proxy_of
from dicom_cli.importing.folder import Fatal
from dicom_cli.importing.token import Token
from dicom_cli.outcomes import CommandFailed, ExitCode

PROBE_SECONDS: Final = 3.0
"""How long an address may take to accept a connection before it counts as wrong."""
_PAGE: Final = 200
_ATTEMPTS: Final = 4


async def probe(url: str, hint: str) -> None:
    """Raises Fatal unless something listens at the address of `url`."""
    try:
        parts, port = checked(url)
        if proxy_of(url):
            return  # it is the proxy that reaches the address, or does not
    except CommandFailed as failure:
        raise Fatal(str(failure), failure.code) from None
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname or "", port)
    except (OSError, TimeoutError):
        raise Fatal(f"Nothing listens at {parts.hostname}:{port}: {hint}", ExitCode.NOT_REACHABLE) from None
    writer.close()


class Service:
    """The studies of one data partition of a service. Made and closed on the running loop."""

    def __init__(self, url: str, *, partition: str = "", token: Token | None = None) -> None:
        self.url = url.rstrip("/")
        place = f"/partitions/{partition}" if partition else ""
        self._studies = f"{self.url}{place}/studies"
        self._token = token or Token()
        self._session = ClientSession(
            timeout=ClientTimeout(total=120, sock_connect=10), trust_env=proxy_of(url) is not None
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def store_id(self) -> str:
        """The identity of the store of the service; empty where the service does not say."""
        try:
            async with self._session.get(f"{self.url}/conformance", headers={"Accept": "application/json"}) as answer:
                content = json.loads(await answer.text()) if answer.status == 200 else {}
        except (ClientError, TimeoutError, ValueError):
            return ""
        found = content.get("storeId") if isinstance(content, dict) else None
        return found if isinstance(found, str) else ""

    async def instances(self, study: str) -> set[str]:
        """The SOP Instance UIDs of a study. Raises Fatal when the service does not tell."""
        found: set[str] = set()
        while True:
            page = await self._page(study, len(found))
            found.update(page)
            if len(page) < _PAGE:
                return found

    async def _page(self, study: str, offset: int) -> list[str]:
        query: Mapping[str, str] = {"limit": str(_PAGE), "offset": str(offset), "includefield": "00080018"}
        reason = ""
        for attempt in range(_ATTEMPTS):
            await asyncio.sleep(attempt)
            try:
                headers = {"Accept": "application/dicom+json", **await self._token.headers()}
                address = f"{self._studies}/{study}/instances"
                async with self._session.get(address, params=query, headers=headers) as answer:
                    if answer.status in (204, 404):
                        return []
                    if answer.status == 200:
                        items = json.loads(await answer.text())
                        return [str(item["00080018"]["Value"][0]) for item in items]
                    reason = f"HTTP {answer.status}"
                    if answer.status in (400, 401, 403, 406):
                        break
            except (ClientError, TimeoutError, ValueError, KeyError, IndexError, TypeError) as error:
                reason = type(error).__name__
        raise Fatal(f"The service at {self.url} does not tell what it has ({reason}).")
