"""The manifest and its tables as an export writes them, with identities or without (COH-29, COH-9). Pure."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from shared.cohorts.export.fhir_profile import Disguise

type Document = Mapping[str, Any]

TABLES: Final[Mapping[str, Sequence[str]]] = {
    "patients": ("id", "age"),
    "studies": ("patient", "id", "uid", "modality", "started", "instances", "retrieve"),
    "reports": ("patient", "study", "id", "link"),
    "medications": ("patient", "id", "system", "code", "status", "authoredOn"),
}
"""Columns of the CSV files, by name."""
_OLDEST: Final = 90
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_NAMING: Final = ("name", "fhir")
"""Members of the head of a manifest that may name somebody, or a hospital."""


def disguised_head(head: Document) -> dict[str, Any]:
    """The head of a manifest without what may name somebody."""
    found = {name: value for name, value in head.items() if name not in _NAMING}
    return {**found, "definition": {name: value for name, value in head["definition"].items() if name != "name"}}


def disguised_entry(entry: Document, disguise: Disguise) -> dict[str, Any]:
    """The entry of a member, or of somebody who could not be decided: an allow-list."""
    found: dict[str, Any] = {"id": disguise.reference(entry["id"])}
    if "age" in entry:
        found["age"] = min(entry["age"], _OLDEST)
    if "criterion" in entry:
        found["criterion"] = entry["criterion"]
    if "evidence" in entry:
        found["evidence"] = [_evidence(each, disguise) for each in entry["evidence"]]
    for name in ("conditions", "medications"):
        if name in entry:
            found[name] = [_coded(each, disguise) for each in entry[name]]
    if "studies" in entry:
        found["studies"] = [_study(each, disguise) for each in entry["studies"]]
    return found


def rows(table: str, entry: Document) -> list[Mapping[str, Any]]:
    """The rows that an entry has in a table."""
    who = {"patient": entry["id"]}
    studies: Sequence[Document] = entry.get("studies", ())
    match table:
        case "patients":
            return [entry]
        case "studies":
            return [{**who, **each, "modality": " ".join(each["modality"])} for each in studies]
        case "reports":
            return [{**who, "study": each["id"], **report} for each in studies for report in each.get("reports", ())]
        case _:
            requests: Sequence[Document] = entry.get("medications", ())
            return [
                {**who, **each, "system": each.get("code", {}).get("system"), "code": each.get("code", {}).get("code")}
                for each in requests
            ]


def lines(table: str, held: Iterable[Mapping[str, Any]]) -> bytes:
    """Lines of RFC 4180, in which no text is taken for a formula."""
    text = io.StringIO()
    csv.writer(text).writerows([_cell(row.get(column)) for column in TABLES[table]] for row in held)
    return text.getvalue().encode()


def title(table: str) -> bytes:
    """The first line of a table."""
    return ",".join(TABLES[table]).encode() + b"\r\n"


# ------------------------------------------------------------------------------------------------------------- inside


def _evidence(evidence: Document, disguise: Disguise) -> dict[str, str]:
    found = {"criterion": evidence["criterion"]}
    if "resource" in evidence:
        found["resource"] = disguise.reference(evidence["resource"])
    day = disguise.day(evidence.get("date"))
    return found | ({"date": day} if day else {})


def _coded(entry: Document, disguise: Disguise) -> dict[str, Any]:
    found: dict[str, Any] = {"id": disguise.reference(entry["id"])}
    if "system" in entry.get("code", {}):
        found["code"] = {name: entry["code"][name] for name in ("system", "code")}
    found |= {name: entry[name] for name in ("status", "doNotPerform") if name in entry}
    for name in ("authoredOn", "date"):
        if day := disguise.day(entry.get(name)):
            found[name] = day
    return found


def _study(study: Document, disguise: Disguise) -> dict[str, Any]:
    found = {
        "id": disguise.reference(study["id"]),
        "uid": disguise.key.uid(study["uid"]),
        "modality": study["modality"],
        "instances": study["instances"],
    }
    if day := disguise.day(study.get("started")):
        found["started"] = day
    if "reports" in study:
        found["reports"] = [{"id": disguise.reference(each["id"]), "link": each["link"]} for each in study["reports"]]
    return found


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
