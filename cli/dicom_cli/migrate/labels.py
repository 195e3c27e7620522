"""Labels of studies, which are in no file and in no entry of a change feed (MIG-8)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, Final

from dicom_cli.migrate.destination import Destination
from dicom_cli.migrate.limits import Throttle
from dicom_cli.migrate.source_service import SourceService
from dicom_cli.outcomes import CommandFailed, ExitCode

_STUDIES: Final = 50
"""Studies of one request: their UIDs stay within the length of a URL that every proxy takes."""


@dataclass(slots=True)
class Labelled:
    """The outcome of the labels. UIDs alone: labels may hold patient data."""

    studies: int = 0
    """Studies that have the labels of the source at the destination."""
    without: list[str] = field(default_factory=list)
    """Studies whose labels the destination does not take, or that are not there."""


def move_labels(
    source: SourceService, destination: Destination, studies: Iterable[str], throttle: Throttle
) -> Labelled:
    """Add the labels that these studies have at the source; none is removed at the destination. Raises CommandFailed
    where an end does not answer.
    """
    moved = Labelled()
    if not _has_labels(source):
        return moved
    for study, labels in _read(source, studies, throttle):
        throttle.request()
        if destination.add_labels(study, labels):
            moved.studies += 1
        else:
            moved.without.append(study)
    return moved


def _has_labels(source: SourceService) -> bool:
    """Whether the source is a service that knows labels, and has some."""
    if source.version != "v2":
        return False
    try:
        found = source.ask("GET", source.path("labels")).json()
    except CommandFailed as failure:
        if failure.code is ExitCode.NOT_REACHABLE:
            raise
        return False
    return isinstance(found, list) and bool(found)


def _read(source: SourceService, studies: Iterable[str], throttle: Throttle) -> Iterator[tuple[str, list[str]]]:
    for several in batched(studies, _STUDIES, strict=False):
        throttle.request()
        query = {"StudyInstanceUID": ",".join(several)}
        told: list[dict[str, Any]] = source.ask("GET", source.path("labels"), query=query).json() or []
        for each in told:
            if each["labels"]:
                yield str(each["studyInstanceUid"]), [str(label) for label in each["labels"]]
