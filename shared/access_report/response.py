"""data-safety §6 An access report as clients get it. Pure."""

import csv
import io
from dataclasses import asdict, fields

import orjson

from shared.access_report.request import ReportRequest
from shared.access_report.transaction import Access, Report
from shared.dicom.media_types import CSV, JSON_UTF_8
from shared.http.messages import Response

_RISKY = ("=", "+", "-", "@", "\t")
"""Characters that a spreadsheet takes for the beginning of a formula."""


def report_answer(request: ReportRequest, report: Report, media_type: str) -> Response:
    """200, in JSON or CSV."""
    headers = (("Content-Type", f"{CSV}; charset=utf-8" if media_type == CSV else JSON_UTF_8),)
    body = _csv(report) if media_type == CSV else _json(request, report)
    return Response(200, (*headers, ("Cache-Control", "no-store")), body)


def _json(request: ReportRequest, report: Report) -> bytes:
    entries = [
        {name: value for name, value in asdict(each).items() if value not in ("", None)} for each in report.accesses
    ]
    document = {
        "patient": report.hash,
        "from": request.first.isoformat(),
        "to": request.last.isoformat(),
        "studyInstanceUids": list(report.studies),
        "accesses": entries,
        "truncated": report.truncated,
    }
    return orjson.dumps(document)


def _csv(report: Report) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\r\n")
    names = [each.name for each in fields(Access)]
    rows.writerow(names)
    rows.writerows([_cell(getattr(each, name)) for name in names] for each in report.accesses)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_RISKY) else text
