"""Sending files over STOW-RS, to any service: one instance a request, so that each answer is about one file."""

import asyncio
import json
import random
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, Final

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector

from dicom_cli.connection import proxy_of
from dicom_cli.importing.folder import Fatal, LocalFile, Verdict
from dicom_cli.importing.identifiers import identifiers
from dicom_cli.importing.token import Token
from dicom_cli.outcomes import ExitCode

_ATTEMPTS: Final = 5
_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_ALREADY_STORED: Final = frozenset({45070, 0x0111})
"""FailureReason of a duplicate: of this service and its predecessor, and of PS3.18 §I.2."""
_CODES: Final = {
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    405: ExitCode.NOT_FOUND,
}
"""Of answers that every other file would get, too."""
_THERE: Final = "an instance of the same UID is there"
_PREAMBLE_BYTES: Final = 128
_CHUNK: Final = 1024**2
_STREAMED_BYTES: Final = 64 * 1024**2
"""A larger file is sent without Content-Length: some hosts would read its body whole before they pass it on."""
_LONGEST_PAUSE: Final = 60.0
_QUOTATION: Final = re.compile(r'Content ".*"(?= does not validate VR [A-Z]{2}: )', re.DOTALL)


class StowSender:
    """Sends files to `{url}/studies`. Made and closed on the running loop."""

    def __init__(self, url: str, *, partition: str, token: Token, concurrency: int) -> None:
        place = f"/partitions/{partition}" if partition else ""
        self._target = f"{url.rstrip('/')}{place}/studies"
        self._token = token
        self._session = ClientSession(
            connector=TCPConnector(limit=concurrency),
            timeout=ClientTimeout(total=None, sock_connect=10, sock_read=300),
            trust_env=proxy_of(url) is not None,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def send(self, file: LocalFile) -> Verdict:
        """Send a file, several times if need be. Raises Fatal when no other file would fare better."""
        renewed = False
        reason = ""
        for attempt in range(_ATTEMPTS):
            try:
                async with self._post(file, await self._token.headers()) as answer:
                    if answer.status == 401 and self._token.renewable and not renewed:
                        renewed = True
                        await self._token.renew()
                        continue
                    if answer.status not in _AGAIN:
                        verdict = replace(await _verdict(answer), added="" if file.lacks is None else file.lacks.added)
                        return await self._compared(file) if verdict.state == "duplicate" else verdict
                    reason = f"HTTP {answer.status}"
                    pause = _pause(attempt, answer.headers.get("Retry-After", ""))
            except (ClientError, TimeoutError) as error:
                reason = f"no answer ({type(error).__name__})"
                pause = _pause(attempt, "")
            except OSError as error:
                return Verdict("refused", f"the file cannot be read: {error.strerror}")
            if attempt + 1 < _ATTEMPTS:
                await asyncio.sleep(pause)
        return Verdict("refused", f"{reason}, {_ATTEMPTS} times")

    def _post(self, file: LocalFile, who: Mapping[str, str]) -> Any:
        boundary = secrets.token_hex(24)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        head += file.prefix
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": "application/dicom+json",
            **who,
        }
        if file.length <= _STREAMED_BYTES:
            headers["Content-Length"] = str(len(head) + file.length + len(tail))
        return self._session.post(self._target, data=_body(head, file, tail), headers=headers)

    async def _compared(self, file: LocalFile) -> Verdict:
        """The service has an instance of that UID: a duplicate only if it is this file, the preamble apart (IMP-8)."""
        found = await asyncio.to_thread(identifiers, file)
        if found is None or not found.complete:
            return Verdict("refused", f"{_THERE}, and the file cannot be read to compare them")
        url = f"{self._target}/{found.study}/series/{found.series}/instances/{found.sop_instance}"
        headers = {"Accept": "application/dicom; transfer-syntax=*", **await self._token.headers()}
        async with self._session.get(url, headers=headers) as answer:
            if answer.status in _AGAIN:
                answer.raise_for_status()
            if answer.status != 200:
                return Verdict("refused", f"{_THERE}; comparing them ended in HTTP {answer.status}")
            same = await _is_same(file, answer)
        return Verdict("duplicate") if same else Verdict("refused", f"{_THERE}, with other content (45070)")


async def _body(head: bytes, file: LocalFile, tail: bytes) -> AsyncIterator[bytes]:
    yield head
    with file.open() as source:
        while chunk := await asyncio.to_thread(source.read, _CHUNK):
            yield chunk
    yield tail


async def _is_same(file: LocalFile, answer: ClientResponse) -> bool:
    """Whether an answer is the file, but for the preamble, which a service may clear."""
    with file.open() as source:
        read = 0
        prefix = file.prefix
        async for chunk in answer.content.iter_any():
            own, prefix = prefix[: len(chunk)], prefix[len(chunk) :]
            own += await asyncio.to_thread(source.read, len(chunk) - len(own))
            skipped = max(0, _PREAMBLE_BYTES - read)
            if len(own) != len(chunk) or own[skipped:] != chunk[skipped:]:
                return False
            read += len(chunk)
        return not source.read(1)


def _pause(attempt: int, retry_after: str) -> float:
    own = 2.0**attempt * random.uniform(0.5, 1.0)
    return min(max(own, float(retry_after) if retry_after.isdecimal() else 0.0), _LONGEST_PAUSE)


async def _verdict(answer: ClientResponse) -> Verdict:
    """The outcome of the one instance of an answer. Raises Fatal."""
    if answer.status in _CODES:
        raise Fatal(
            f"The service answers {answer.status} {answer.reason}: check the address, and who you are.",
            _CODES[answer.status],
        )
    reasons, comments = _failures(await answer.text(errors="replace"))
    if reasons and reasons <= _ALREADY_STORED:
        return Verdict("duplicate")
    if answer.status in (200, 202) and not reasons:
        return Verdict("stored")
    numbers = ", ".join(map(str, sorted(reasons)))
    if comments:
        return Verdict("refused", f"{'; '.join(comments)} ({numbers})")
    return Verdict("refused", f"HTTP {answer.status}{f', failure reason {numbers}' if numbers else ''}")


def _failures(text: str) -> tuple[set[int], list[str]]:
    """(0008,1197) of the items of (0008,1198) in a Store Instances Response, and what the service says of each: of its
    attributes, else of the instance. Without the values that other services quote: this is kept in a journal.
    """
    try:
        items = json.loads(text).get("00081198", {}).get("Value", [])
        reasons = {int(item["00081197"]["Value"][0]) for item in items}
        said = [each for item in items for each in item.get("00741048", {}).get("Value", []) or [item]]
        texts = (str(each.get("00000902", {}).get("Value", [""])[0]) for each in said)
        return reasons, [_QUOTATION.sub("Content", text) for text in texts if text]
    except (ValueError, AttributeError, KeyError, IndexError, TypeError):
        return set(), []
