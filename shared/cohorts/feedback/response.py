"""Feedback as clients see it: JSON, lines of JSON, CSV and FHIR (cohorts §8.6, §8.9, §8.10). Pure."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from shared.cohorts.feedback.cases import Case, Tally
from shared.cohorts.feedback.documents import SYSTEM, communication
from shared.cohorts.feedback.outcomes import text_of
from shared.cohorts.feedback.predictions import Line, Summary
from shared.dicom.media_types import CSV, FHIR_JSON, JSON_UTF_8, NDJSON
from shared.fhir.resources import local_reference
from shared.http.messages import Response

CASE_COLUMNS: Final = (
    "report",
    "study",
    "patient",
    "readAt",
    "text",
    "outcome",
    "strength",
    "date",
    "outcomeText",
    "knownBy",
)
LINE_COLUMNS: Final = (
    "model",
    "version",
    "predictedAt",
    "studyUid",
    "seriesUids",
    "prediction",
    "outcome",
    "outcomeSource",
    "delta",
    "agree",
    "patientPseudonym",
)
_NO_STORE: Final = ("Cache-Control", "no-store")
_CHARSET: Final = "; charset=utf-8"
_BUNDLE: Final = b'{"resourceType":"Bundle","type":"collection","entry":['
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of texts that spreadsheets take for formulas."""


def document(value: Any, status: int = 200) -> Response:
    """A JSON document."""
    return Response(status, (("Content-Type", JSON_UTF_8), _NO_STORE), orjson.dumps(value))


def streamed(media_type: str, pieces: AsyncIterator[bytes], following: str = "") -> Response:
    """A body in pieces; `following`: the URL of what comes after it (RFC 8288)."""
    content_type = {CSV: CSV + _CHARSET, NDJSON: NDJSON, FHIR_JSON: FHIR_JSON}.get(media_type, JSON_UTF_8)
    link = (("Link", f'<{following}>; rel="next"'),) if following else ()
    return Response(200, (("Content-Type", content_type), _NO_STORE, *link), pieces)


async def case_pieces(
    groups: AsyncIterator[list[Case]], tally: Tally, media_type: str, practitioner: str, warnings: set[str]
) -> AsyncIterator[bytes]:
    """The cases of a reader; `tally` and `warnings` are read when all are through."""
    if media_type == CSV:
        yield _rows([CASE_COLUMNS])
        async for cases in groups:
            yield _rows(row for case in cases for row in _case_rows(case))
        return
    yield _BUNDLE if media_type == FHIR_JSON else b'{"cases":['
    first = True
    async for cases in groups:
        for case in cases:
            for each in _bundled(case, practitioner) if media_type == FHIR_JSON else (_case(case),):
                yield (b"" if first else b",") + orjson.dumps(each)
                first = False
    if media_type == FHIR_JSON:
        yield b"]}"
        return
    told: dict[str, Any] = {"coverage": tally.coverage}
    if found := [*tally.warnings, *sorted(warnings)]:
        told["warnings"] = found
    yield b"]," + orjson.dumps(told)[1:]


async def line_pieces(
    groups: AsyncIterator[Sequence[Line]], media_type: str, model: str, following: str
) -> AsyncIterator[bytes]:
    """The predictions of a model; of lines of JSON the summaries last (COH-35)."""
    if media_type == CSV:
        yield _rows([LINE_COLUMNS])
        async for lines in groups:
            yield _rows(_line_row(each.document) for each in lines)
        return
    if media_type == FHIR_JSON:
        yield _BUNDLE
        first = True
        async for lines in groups:
            for each in lines:
                yield (b"" if first else b",") + orjson.dumps({"resource": _agreement(each)})
                first = False
        yield b"]}"
        return
    versions: dict[str, Summary] = {}
    async for lines in groups:
        for each in lines:
            versions.setdefault(each.document["version"], Summary()).add(each.document)
        yield b"".join(orjson.dumps(each.document, option=orjson.OPT_APPEND_NEWLINE) for each in lines)
    summaries = [
        {"model": model, "version": version, **versions[version].document()} for version in sorted(versions)
    ] or [{"model": model, **Summary().document()}]
    summaries[-1]["next"] = following
    yield b"".join(orjson.dumps({"summary": each}, option=orjson.OPT_APPEND_NEWLINE) for each in summaries)


# ------------------------------------------------------------------------------------------------------------- inside


def _case(case: Case) -> dict[str, Any]:
    outcomes = [
        {"outcome": each.reference, "strength": each.strength, "date": each.moment.text, "text": each.text}
        | ({"knownBy": each.known_by} if each.known_by else {})
        for each in case.outcomes
    ]
    return {
        "report": local_reference(case.report),
        "study": local_reference(case.studies[0]),
        "text": text_of(case.report),
        "outcomes": outcomes,
    }


def _bundled(case: Case, practitioner: str) -> Iterable[dict[str, Any]]:
    return ({"resource": communication(case, each, practitioner)} for each in case.outcomes)


def _case_rows(case: Case) -> Iterable[Sequence[Any]]:
    told = _case(case)
    start = (told["report"], told["study"], case.patient, case.moment.text if case.moment else "", told["text"])
    if not told["outcomes"]:
        yield (*start, "", "", "", "", "")
    for each in told["outcomes"]:
        yield (*start, each["outcome"], each["strength"], each["date"], each["text"], each.get("knownBy", ""))


def _line_row(line: Mapping[str, Any]) -> Sequence[Any]:
    cells = {**line, "seriesUids": " ".join(line["seriesUids"])}
    return [_plain(cells.get(name)) for name in LINE_COLUMNS]


def _plain(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _agreement(line: Line) -> dict[str, Any]:
    """A line as an Observation about the prediction."""
    told = line.document
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {
            "coding": [{"system": SYSTEM, "code": "prediction-agreement"}],
            "text": "Agreement of a prediction with its outcome",
        },
        "subject": {"identifier": {"system": SYSTEM, "value": told["patientPseudonym"]}},
        "focus": [{"reference": line.observation}],
        "device": {"display": f"{told['model']} {told['version']}".strip()},
    }
    if told["predictedAt"]:
        found["effectiveDateTime"] = told["predictedAt"]
    component = [_component("prediction", told["prediction"])]
    if told["outcome"] is None:
        absent = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
        return {
            **found,
            "dataAbsentReason": {"coding": [{"system": absent, "code": "unknown"}]},
            "component": component,
        }
    if told["outcomeSource"].startswith("Observation/"):
        found["derivedFrom"] = [{"reference": told["outcomeSource"]}]
    else:
        found["focus"].append({"reference": told["outcomeSource"]})
    component += [_component(name, told[name]) for name in ("outcome", "delta") if name in told]
    return {**found, "valueBoolean": told["agree"], "component": component}


def _component(name: str, value: Any) -> dict[str, Any]:
    code = {"coding": [{"system": SYSTEM, "code": name}], "text": name}
    if isinstance(value, bool):
        return {"code": code, "valueBoolean": value}
    if isinstance(value, int | float):
        return {"code": code, "valueQuantity": {"value": value}}
    return {"code": code, "valueString": value}


def _rows(rows: Iterable[Sequence[Any]]) -> bytes:
    """Lines of RFC 4180, in which no text is taken for a formula."""
    held = io.StringIO()
    csv.writer(held).writerows([_cell(each) for each in row] for row in rows)
    return held.getvalue().encode()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
