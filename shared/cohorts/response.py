"""Cohorts, translations and patients as clients see them (cohorts §8.6). Pure."""

import html
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import orjson

from shared.cohorts.language.translation import Translation, Understood
from shared.cohorts.manifest import pseudonym
from shared.cohorts.timeline import Timeline, bundle
from shared.dicom.media_types import FHIR_JSON, HTML, JSON_UTF_8
from shared.http.messages import Response

_NO_STORE: Final = ("Cache-Control", "no-store")
_HEADERS: Final = (("Content-Type", JSON_UTF_8), _NO_STORE)
_STYLE: Final = (
    "body{font:15px system-ui;margin:2rem}table{border-collapse:collapse}td,th{padding:.3rem .8rem;text-align:left;"
    "border-bottom:1px solid #ddd}"
)


def document(value: Any, status: int = 200) -> Response:
    """A JSON document."""
    return Response(status, _HEADERS, orjson.dumps(value))


def streamed(pieces: AsyncIterator[bytes]) -> Response:
    """A manifest."""
    return Response(200, _HEADERS, pieces)


def translation(found: Translation) -> Response:
    """200 with the definition or with what was not understood; 409 with all readings (NL-10, NL-11)."""
    if len(found.readings) > 1 and not found.unmatched:
        return document({"readings": [_reading(each) for each in found.readings]}, 409)
    reading = _reading(found.readings[0]) if len(found.readings) == 1 else {"notes": []}
    unmatched = [
        {"text": each.text, "start": each.start, "end": each.end, "reason": each.reason} for each in found.unmatched
    ]
    spans = [{"start": start, "end": end, "path": path} for start, end, path in found.spans]
    return document({**reading, "spans": spans, "unmatched": unmatched})


def _reading(reading: Understood) -> dict[str, Any]:
    return {
        "definition": reading.definition,
        "definitionHash": reading.hash,
        "sentence": reading.sentence,
        "notes": list(reading.notes),
    }


def timeline_answer(found: Timeline, media_type: str, base: str) -> Response:
    """A timeline as JSON, as a Bundle, or as a page that needs nothing else (COH-31)."""
    if media_type == FHIR_JSON:
        return Response(200, (("Content-Type", FHIR_JSON), _NO_STORE), orjson.dumps(bundle(found, base)))
    if media_type == HTML:
        policy = ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'")
        return Response(200, (("Content-Type", f"{HTML}; charset=utf-8"), _NO_STORE, policy), _page(found).encode())
    return document({"entries": found.entries})


def _page(found: Timeline) -> str:
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{html.escape(str(entry.get(name, '')))}</td>" for name in ("date", "kind", "title", "status"))
        + f"<td>{_links(entry['links'])}</td></tr>"
        for entry in found.entries
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Timeline</title><style>{_STYLE}</style>'
        "<h1>Timeline</h1><table><tr><th>Date</th><th>Kind</th><th>Title</th><th>Status</th>"
        f"<th>Images, reports</th></tr>{rows}</table></html>"
    )


def _links(links: Mapping[str, Any]) -> str:
    told = [
        f'<a href="{html.escape(links[name])}">{name}</a>'
        for name in ("viewer", "wado")
        if str(links.get(name, "")).startswith(("https://", "http://"))
    ]
    return " ".join([*told, *map(html.escape, links.get("report", ()))])


def similar_answer(hits: Sequence[Mapping[str, Any]], key: str, *, identified: bool, small: int) -> Response:
    """Similar patients. Without `cohortIdentified` nobody is named, and a small group is a count alone (COH-13)."""
    if identified:
        return document(list(hits))
    if len(hits) < small:
        return document({"count": len(hits)})
    return document([_unnamed(each, key) for each in hits])


def _unnamed(hit: Mapping[str, Any], key: str) -> dict[str, Any]:
    shown = {name: hit[name] for name in ("score", "facets", "unknown")}
    treatments = [
        {name: each[name] for name in ("code", "status", "daysFromDiagnosis") if name in each}
        for each in hit["treatments"]
    ]
    outcomes = [
        {"kind": each["kind"]} | {name: each[name] for name in ("daysFromDiagnosis",) if name in each}
        for each in hit["outcomes"]
    ]
    return {"id": pseudonym(key, hit["id"]), **shown, "treatments": treatments, "outcomes": outcomes}
