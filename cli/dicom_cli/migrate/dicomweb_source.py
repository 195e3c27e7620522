"""The studies and instances of any DICOMweb server, by QIDO-RS in windows of dates, and their files (MIG-2)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from dicom_cli.elements import first
from dicom_cli.migrate.model import Entry, Place, SourceFailed
from dicom_cli.migrate.source_service import SourceService
from dicom_cli.migrate.spool import SpooledFile
from dicom_cli.outcomes import CommandFailed, ExitCode

_STUDY: Final = "0020000D"
_SERIES: Final = "0020000E"
_SOP: Final = "00080018"
_PAGE: Final = 100
_LEAST: Final = 50
"""No server limits its results to fewer: fewer are all, where offset is ignored."""
_FIRST: Final = date(1900, 1, 1)
_AHEAD: Final = timedelta(days=366)
"""Studies with dates to come: clocks of modalities are wrong at times."""
_MOST_PAGES: Final = 100_000
_ACCEPTED: Final = (
    'multipart/related; type="application/dicom"; transfer-syntax=*',
    'multipart/related; type="application/dicom"',
    "application/dicom; transfer-syntax=*",
)
"""As stored, above all; else what the server grants."""
_ORIGINAL: Final = {"msdicom-request-original": "true"}
_NOT_THERE: Final = ExitCode.NOT_FOUND


@dataclass(slots=True)
class _Listing:
    """The studies in a window of dates."""

    studies: list[str]
    complete: bool
    """Whether the server has surely told all."""


class DicomwebSource:
    """One server, and one data partition of it."""

    def __init__(self, service: SourceService) -> None:
        self._service = service
        self.name = service.url + service.path("").rstrip("/")
        self.tells_undated = True
        """Whether it has told all studies that have no date."""
        self._accepted = 0
        """The first of the accepted forms that the server knows."""

    def studies(self) -> Iterator[str]:
        """The UIDs of all studies, each once. A window that a server does not tell whole is split, down to a day.

        Raises CommandFailed where a day cannot be told whole.
        """
        seen: set[str] = set()
        windows = [(_FIRST, datetime.now(UTC).date() + _AHEAD)]
        while windows:
            begin, end = windows.pop()
            listing = self._listed({"StudyDate": f"{begin:%Y%m%d}-{end:%Y%m%d}"})
            if not listing.complete:
                if begin == end:
                    raise CommandFailed(
                        f"The source does not tell all studies of {begin}: it ignores offset.", ExitCode.SOME_FAILED
                    )
                middle = begin + (end - begin) // 2
                windows += [(middle + timedelta(days=1), end), (begin, middle)]
                continue
            yield from _unseen(listing.studies, seen)
        # Those without a date, which no window has.
        listing = self._listed({})
        self.tells_undated = listing.complete
        yield from _unseen(listing.studies, seen)

    def instances(self, study: str) -> list[Entry]:
        """The instances of a study. Raises CommandFailed."""
        try:
            rows = self._paged(f"studies/{study}/instances")
        except CommandFailed as failure:
            if failure.code is ExitCode.NOT_REACHABLE:
                raise
            rows = self._service.rows(f"studies/{study}/metadata", {})
        places = {Place(study, _uid(row, _SERIES), _uid(row, _SOP)) for row in rows}
        return [Entry(each) for each in sorted(places) if all(each)]

    def fetch(self, entry: Entry, into: SpooledFile, *, original: bool = False) -> None:
        """Take the file of an instance as it is stored.

        Raises SourceFailed if it does not give it, CommandFailed if it does not answer at all.
        """
        path = self._service.path(entry.place.path.removeprefix("/"))
        more = _ORIGINAL if original else {}
        reason = ""
        for number in range(self._accepted, len(_ACCEPTED)):
            try:
                with self._service.stream(path, headers={"Accept": _ACCEPTED[number], **more}) as response:
                    into.fill_from(response)
            except CommandFailed as failure:
                if failure.code in (ExitCode.NOT_REACHABLE, ExitCode.NOT_ALLOWED):
                    raise
                reason = str(failure)
                if failure.code is _NOT_THERE:
                    break
                continue
            self._accepted = number
            return
        raise SourceFailed(reason)

    # ----------------------------------------------------------------------------------------------------- inside

    def _listed(self, query: Mapping[str, str]) -> _Listing:
        """All pages of a search for studies."""
        found: dict[str, None] = {}
        for _ in range(_MOST_PAGES):
            page = self._service.rows("studies", {**query, "limit": str(_PAGE), "offset": str(len(found))})
            new = [each for each in (_uid(row, _STUDY) for row in page) if each and each not in found]
            if not page:
                return _Listing(list(found), complete=True)
            if not new:  # the same page again: offset does not count here
                return _Listing(list(found), complete=len(page) < _LEAST)
            found.update(dict.fromkeys(new))
        return _Listing(list(found), complete=False)

    def _paged(self, path: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        known: set[str] = set()
        while page := self._service.rows(path, {"limit": str(_PAGE), "offset": str(len(rows))}):
            new = [row for row in page if _uid(row, _SOP) not in known]
            if not new:
                break
            known.update(_uid(row, _SOP) for row in new)
            rows += new
        return rows


def _unseen(studies: list[str], seen: set[str]) -> Iterator[str]:
    for each in studies:
        if each not in seen:
            seen.add(each)
            yield each


def _uid(row: Mapping[str, Any], tag: str) -> str:
    return str(first(row, tag)).strip(" \0")
