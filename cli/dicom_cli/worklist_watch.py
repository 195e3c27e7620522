"""`dicom worklist watch`: event reports of workitems, as they come (PS3.18 §11.10, §11.13).

A connection that is lost is opened again, behind the last report: none is missed within the hour for which reports are
kept.
"""

import argparse
import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

from dicom_cli.elements import first
from dicom_cli.outcomes import CommandFailed
from dicom_cli.output import Output
from dicom_cli.service import Service

_ALL: Final = "1.2.840.10008.5.1.4.34.5"
_MATCHING: Final = "1.2.840.10008.5.1.4.34.5.1"
_KINDS: Final[Mapping[int, str]] = {
    1: "state",
    2: "cancel requested",
    3: "progress",
    4: "reports were missed",
    5: "assigned",
}
_HEARTBEAT: Final = 30.0
_PAUSE: Final = 1.0
"""Seconds between two connections."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("conditions", nargs="*", metavar="KEYWORD=VALUE", help="workitems that match; without any, all")
    parser.add_argument("--uid", help="one workitem")
    parser.add_argument("--count", type=int, default=0, help="end after so many reports")


def run(arguments: argparse.Namespace, service: Service, output: Output) -> None:
    """Print reports until the command is ended. Raises CommandFailed."""
    name = f"CLI-{secrets.token_hex(6)}"
    conditions = ",".join(arguments.conditions)
    uid = arguments.uid or (_MATCHING if conditions else _ALL)
    path = service.path(f"workitems/{uid}/subscribers/{name}")
    query = {"filter": conditions} if conditions else {}
    watching = _Watching(output, arguments.count)
    url = service.ask("POST", path, query=query, expect=(201,)).headers["Content-Location"]
    output.say("Watching; Ctrl-C ends it.")
    try:
        while asyncio.run(watching.listen(url)):
            time.sleep(_PAUSE)
            answer = service.ask(
                "GET", service.path(f"subscribers/{name}"), query={"after": str(watching.last)}, expect=(307,)
            )
            url = answer.headers["Location"]
    except KeyboardInterrupt:
        output.say("")
    finally:
        service.ask("DELETE", path, expect=(200, 404))


class _Watching:
    def __init__(self, output: Output, count: int) -> None:
        self.last = 0
        """The Message ID of the last report."""
        self._output = output
        self._left = count

    async def listen(self, url: str) -> bool:
        """Print what comes by one connection; whether another one is to be opened."""
        from aiohttp import ClientError, ClientSession, WSMsgType

        try:
            async with (
                ClientSession(trust_env=True) as session,
                session.ws_connect(url, heartbeat=_HEARTBEAT) as socket,
            ):
                async for message in socket:
                    if message.type is WSMsgType.TEXT and not self._print(json.loads(message.data)):
                        return False
        except (ClientError, OSError) as error:
            if not self.last:
                raise CommandFailed(f"The event reports cannot be reached ({type(error).__name__}).") from None
        return True

    def _print(self, report: Mapping[str, Any]) -> bool:
        number = first(report, "00000110")
        if number == self.last:
            return True
        self.last = number
        kind = _KINDS.get(first(report, "00001002"), "report")
        shown = "  ".join(
            str(each) for each in (number, first(report, "00001000"), kind, first(report, "00741000")) if each != ""
        )
        self._output.item(report, shown)
        self._left -= 1
        return self._left != 0
