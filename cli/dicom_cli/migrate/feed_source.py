"""The change feed of the service and of the server that it succeeds: v1 by numbers, v2 by times (MIG-3)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dicom_cli.migrate.model import Place
from dicom_cli.migrate.source_service import SourceService
from dicom_cli.outcomes import CommandFailed, ExitCode

_PAGE: Final = 100
_BEGINNING: Final = "1970-01-01T00:00:00Z"
_OVERLAP: Final = timedelta(seconds=1)
"""Times of entries are rounded differently by servers: what comes twice is known by its number."""


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of the feed."""

    sequence: int
    time: str
    action: str
    """`create`, `update` or `delete`."""
    place: Place
    partition: str

    @property
    def age(self) -> float:
        """Seconds since it happened."""
        try:
            return max(0.0, (datetime.now(UTC) - _moment(self.time)).total_seconds())
        except ValueError:
            return 0.0


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """The last entry that was seen."""

    sequence: int = 0
    time: str = _BEGINNING

    @property
    def text(self) -> str:
        """As it is kept."""
        return f"{self.sequence} {self.time}"

    @classmethod
    def of(cls, text: str) -> "FeedPosition":
        """The position of a text; the beginning for an empty one."""
        sequence, _, time = text.partition(" ")
        return cls(int(sequence), time) if text else cls()


class FeedSource:
    """The feed of one server. Raises CommandFailed where its root has no version."""

    def __init__(self, service: SourceService) -> None:
        if not service.version:
            raise CommandFailed("--follow needs a source with a change feed: https://HOST/v2", ExitCode.WRONG_USE)
        self._service = service

    def latest(self) -> FeedPosition:
        """The end of the feed now."""
        found = self._service.ask("GET", "/changefeed/latest", query={"includemetadata": "false"}).json()
        return _position(_change(found)) if found else FeedPosition()

    def after(self, position: FeedPosition) -> Iterator[Change]:
        """The entries behind a position, in order."""
        seen, offset = position.sequence, 0
        start = (_moment(position.time) - _OVERLAP).isoformat().replace("+00:00", "Z")
        while True:
            query = {"limit": str(_PAGE), "includemetadata": "false"}
            if self._service.version == "v1":
                query["offset"] = str(seen)
            else:
                query |= {"offset": str(offset), "startTime": start}
            page = self._service.ask("GET", "/changefeed", query=query).json() or []
            offset += len(page)
            for each in map(_change, page):
                if each.sequence > seen:
                    seen = each.sequence
                    yield each
            if len(page) < _PAGE:
                return


def _position(change: Change) -> FeedPosition:
    return FeedPosition(change.sequence, change.time)


def _change(entry: Mapping[str, Any]) -> Change:
    told = {name.lower(): value for name, value in entry.items()}
    place = Place(*(str(told.get(f"{each}instanceuid", "")) for each in ("study", "series", "sop")))
    return Change(
        int(told["sequence"]),
        str(told.get("timestamp", _BEGINNING)),
        str(told.get("action", "")).lower(),
        place,
        str(told.get("partitionname") or ""),
    )


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
