"""`dicom search`: QIDO-RS with keywords as options."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output
from dicom_cli.service import DICOM_JSON, Service

EXAMPLE: Final = """\
  dicom search --PatientName 'Doe*' --StudyDate 20260101-20261231
  dicom search series --study 1.2.3 Modality=CT
  dicom search instances --study 1.2.3 --series 1.2.3.4 --all --json
"""
_PAGE: Final = 200
COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "studies": (
        "StudyDate",
        "PatientName",
        "PatientID",
        "ModalitiesInStudy",
        "StudyDescription",
        "NumberOfStudyRelatedInstances",
        "StudyInstanceUID",
    ),
    "series": ("Modality", "SeriesDescription", "SeriesNumber", "NumberOfSeriesRelatedInstances", "SeriesInstanceUID"),
    "instances": ("InstanceNumber", "Rows", "Columns", "NumberOfFrames", "SOPClassUID", "SOPInstanceUID"),
}


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("level", nargs="?", default="studies", metavar="LEVEL", help="studies, series or instances")
    parser.add_argument("conditions", nargs="*", metavar="KEYWORD=VALUE", help="matching keys: keyword or tag")
    parser.add_argument("--study", help="only of this study")
    parser.add_argument("--series", help="only of this series of the study")
    parser.add_argument("--limit", type=int, default=100, help="most results (100)")
    parser.add_argument("--offset", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="every result, page after page")
    parser.add_argument("--field", action="append", default=[], help="a further attribute: keyword or tag")
    parser.add_argument("--fuzzy", action="store_true", help="names by the beginnings of their words")
    parser.add_argument("--order", choices=("StudyDate", "-StudyDate"), help="order of studies")
    parser.set_defaults(keywords=True)


def run(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Print what is found. Raises CommandFailed."""
    level, said = level_and_conditions(arguments.level, arguments.conditions)
    conditions = [*pairs(said), *arguments.given]
    fields = list(arguments.field)
    shown = [] if output.as_json else COLUMNS[level]  # what the table has, whatever the service tells unasked
    found = results(
        service,
        resource(level, arguments.study, arguments.series),
        [
            *conditions,
            *(("includefield", field) for field in dict.fromkeys((*shown, *fields))),
            *([("fuzzymatching", "true")] if arguments.fuzzy else []),
            *([("orderby", arguments.order)] if arguments.order else []),
        ],
        limit=None if arguments.all else arguments.limit,
        offset=arguments.offset,
    )
    rows = found if output.as_json else map(named, found)
    columns = [*COLUMNS[level], *(each for each in fields if each not in COLUMNS[level])]
    count = output.table(rows, columns)
    output.say(f"{count} found." if arguments.all or count < arguments.limit else f"{count} shown; --all for more.")
    return ExitCode.DONE


def level_and_conditions(first: str, others: Sequence[str]) -> tuple[str, list[str]]:
    """The level, which may be left out, and the matching keys behind it. Raises CommandFailed."""
    if "=" in first:
        return "studies", [first, *others]
    if first not in COLUMNS:
        raise CommandFailed(f"{first!r} is no level: {', '.join(COLUMNS)}.", ExitCode.WRONG_USE)
    return first, list(others)


def resource(level: str, study: str | None, series: str | None) -> str:
    """The path of a search, below the partition. Raises CommandFailed."""
    if series and not study:
        raise CommandFailed("--series needs --study.", ExitCode.WRONG_USE)
    if level == "studies" and study:
        raise CommandFailed("--study is for series and instances; studies: StudyInstanceUID=…", ExitCode.WRONG_USE)
    return "/".join([*(["studies", study] if study else []), *(["series", series] if series else []), level])


def results(
    service: Service, path: str, query: Sequence[tuple[str, str]], *, limit: int | None, offset: int = 0
) -> Iterator[dict[str, Any]]:
    """Data sets as DICOM JSON, page after page; `limit` None: all."""
    left = limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(_PAGE, left)
        asked = [*query, ("limit", str(size)), ("offset", str(offset))]
        page = service.ask("GET", service.path(path), query=asked, headers={"Accept": DICOM_JSON}).json() or []
        yield from page
        if len(page) < size:
            return
        offset += len(page)
        left = None if left is None else left - len(page)


def named(data_set: Mapping[str, Any]) -> dict[str, Any]:
    """A data set by keywords, each with its values as text for people."""
    from pydicom.datadict import keyword_for_tag

    return {keyword_for_tag(tag) or tag: _values(element) for tag, element in data_set.items()}


def _values(element: Mapping[str, Any]) -> Any:
    values = [
        each.get("Alphabetic", next(iter(each.values()), "")) if isinstance(each, dict) and "vr" not in each else each
        for each in element.get("Value", [])
    ]
    if element.get("vr") == "SQ":
        return f"{len(values)} item{'s' * (len(values) != 1)}"
    return values[0] if len(values) == 1 else values or None


def pairs(conditions: Sequence[str]) -> list[tuple[str, str]]:
    """Matching keys of `KEYWORD=VALUE`. Raises CommandFailed."""
    found = []
    for each in conditions:
        keyword, equals, value = each.partition("=")
        if not equals:
            raise CommandFailed(f"{each!r} is no condition: KEYWORD=VALUE.", ExitCode.WRONG_USE)
        found.append((keyword, value))
    return found
