"""The service that a migration writes to: stores, and what is stored there read again (MIG-5, MIG-7)."""

import json
from typing import Any, Final
from urllib.parse import quote

from dicom_cli.elements import first, values
from dicom_cli.migrate.model import Entry, SourceFailed
from dicom_cli.migrate.spool import CONTENT_TYPE, SpooledFile
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.service import DICOM_JSON, JSON, Service

_ALREADY_STORED: Final = 45070
_HEADERS: Final = {"Content-Type": CONTENT_TYPE, "Accept": DICOM_JSON}
_AS_STORED: Final = {"Accept": "application/dicom; transfer-syntax=*"}
_PAGE: Final = 200
_LOST: Final = (ExitCode.NOT_REACHABLE, ExitCode.NOT_ALLOWED)


class Refused(Exception):
    """The destination does not take an instance; the text says why."""


class Destination:
    """One service, and one data partition of it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.name = service.url + service.path("").rstrip("/")

    def store(self, file: SpooledFile, *, replace: bool = False) -> None:
        """Store a file; one that is there already is left, or replaced. Raises Refused; CommandFailed where the service
        does not answer.
        """
        try:
            answer = self._service.ask(
                "PUT" if replace else "POST",
                self._service.path("studies"),
                body=file.path,
                headers=_HEADERS,
                expect=(200, 202, 409),
            )
        except CommandFailed as failure:
            if failure.code in _LOST:
                raise
            raise Refused(str(failure)) from None
        reasons = _failures(answer.json())
        if reasons and set(reasons) != {_ALREADY_STORED}:
            raise Refused(f"failure reason {', '.join(map(str, sorted(set(reasons))))}: {_comments(answer.json())}")
        if answer.status == 409 and not reasons:
            raise Refused("409 without a reason")

    def fetch(self, entry: Entry, into: SpooledFile) -> bool:
        """Read an instance again, as it is stored; False if it is not there. Raises CommandFailed, SourceFailed."""
        path = self._service.path(entry.place.path.removeprefix("/"))
        try:
            with self._service.stream(path, headers=_AS_STORED) as response:
                into.fill_from(response)
        except CommandFailed as failure:
            if failure.code is ExitCode.NOT_FOUND:
                return False
            raise
        except SourceFailed:
            return False
        return True

    def count(self, study: str) -> int:
        """The number of instances of a study. Raises CommandFailed."""
        query = {"StudyInstanceUID": study, "includefield": "00201208", "limit": "1"}
        rows = self._service.ask(
            "GET", self._service.path("studies"), query=query, headers={"Accept": DICOM_JSON}
        ).json()
        return int(first(rows[0], "00201208", 0)) if rows else 0

    def delete(self, entry: Entry) -> None:
        """Delete an instance; one that is not there is no error. Raises CommandFailed."""
        path = self._service.path(entry.place.path.removeprefix("/"))
        self._service.ask("DELETE", path, expect=(200, 204, 404))

    def add_labels(self, study: str, labels: list[str]) -> bool:
        """Give a study labels, beside those that it has; False if it is not there, or cannot have them. Raises
        CommandFailed where the service does not answer.
        """
        try:
            answer = self._service.ask(
                "PATCH",
                self._service.path(f"studies/{quote(study, safe='')}/labels"),
                body=json.dumps({"add": labels}).encode(),
                headers={"Content-Type": JSON},
                expect=(200, 400, 404),
            )
        except CommandFailed as failure:
            if failure.code in _LOST:
                raise
            return False
        return answer.status == 200

    def add_tags(self, tags: list[dict[str, Any]]) -> list[str]:
        """Make attributes searchable that are not yet; the paths of those that are new. Raises CommandFailed."""
        known = self._service.ask("GET", "/v2/extendedquerytags", query={"limit": str(_PAGE)}).json() or []
        there = {str(each.get("path", "")).upper() for each in known}
        added = []
        for tag in tags:
            if str(tag.get("path", "")).upper() in there:
                continue
            body = [{name: tag[name] for name in ("path", "vr", "privateCreator", "level") if tag.get(name)}]
            self._service.ask(
                "POST",
                "/v2/extendedquerytags",
                body=json.dumps(body).encode(),
                headers={"Content-Type": JSON},
                expect=(200, 202, 409),
            )
            added.append(str(tag["path"]))
        return added


def _failures(document: Any) -> list[int]:
    items = values(document, "00081198") if isinstance(document, dict) else ()
    return [int(first(each, "00081197", 0)) for each in items]


def _comments(document: Any) -> str:
    """The error comments of a refused instance. They quote no values of patient attributes (STOW-37)."""
    items = values(document, "00081198")
    found = [str(first(comment, "00000902")) for item in items for comment in values(item, "00741048")]
    return "; ".join(each for each in found if each) or "no comment"
