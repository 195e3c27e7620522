"""The manifest of a cohort as a caller may see it (cohorts §8.5, §8.11). Pure."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from shared.cohorts.entries import partition_of
from shared.http.roles import Scope

type Document = Mapping[str, Any]

_OLDEST: Final = 90
"""Ages from here on are one group: few people are as old, and can be told by it."""


def pseudonym(key: str, reference: str) -> str:
    """The pseudonym of a resource in one cohort: stable inside it, of no use outside."""
    kind = reference.partition("/")[0]
    digest = hmac.new(bytes.fromhex(key), reference.encode(), hashlib.sha256).hexdigest()
    return f"{kind}/p-{digest[:24]}"


def scope_document(scope: Scope) -> dict[str, Any]:
    """A scope as an operation remembers it."""
    return {"whole": scope.whole_service, "names": sorted(scope.names), "prefixes": list(scope.prefixes)}


def scope_in(document: Document) -> Scope:
    """The scope that `scope_document` has told."""
    return Scope(bool(document["whole"]), frozenset(document["names"]), tuple(document["prefixes"]))


def visible_entry(entry: Document, scope: Scope) -> tuple[dict[str, Any], int]:
    """An entry without the studies outside the scopes of the caller, and how many those are (AUTH-20)."""
    studies = entry.get("studies")
    if studies is None or scope.whole_service:
        return dict(entry), 0
    seen = [each for each in studies if partition_of(each.get("retrieve", "")) in scope]
    return {**entry, "studies": seen}, len(studies) - len(seen)


def without_identity(entry: Document, key: str) -> dict[str, Any]:
    """The view of an entry without `cohortIdentified`: an allow-list without dates, UIDs and addresses."""
    found: dict[str, Any] = {"id": pseudonym(key, entry["id"])}
    if "age" in entry:
        found["age"] = min(entry["age"], _OLDEST)
    for name in ("criterion",):
        if name in entry:
            found[name] = entry[name]
    if "evidence" in entry:
        found["evidence"] = [{"criterion": each["criterion"]} for each in entry["evidence"]]
    if "studies" in entry:
        found["studies"] = [
            {
                "id": pseudonym(key, study["id"]),
                "modality": study["modality"],
                "instances": study["instances"],
                **(
                    {"reports": [{"id": pseudonym(key, r["id"]), "link": r["link"]} for r in study["reports"]]}
                    if "reports" in study
                    else {}
                ),
            }
            for study in entry["studies"]
        ]
    if "medications" in entry:
        found["medications"] = [
            {"id": pseudonym(key, each["id"])}
            | {name: each[name] for name in ("status", "doNotPerform") if name in each}
            | ({"code": each["code"]} if "system" in each.get("code", {}) else {})
            for each in entry["medications"]
        ]
    return found


def summary(head: Document) -> dict[str, Any]:
    """The summary of a cohort in a list, or in the answer to `GET /cohorts/{id}`."""
    names = ("id", "name", "asOf", "createdAt", "definition", "definitionHash", "sentence", "status", "counts", "error")
    return {name: head[name] for name in names if head.get(name) is not None} | {"exports": head.get("exports", [])}


def head_of_manifest(head: Document) -> dict[str, Any]:
    """The members of a manifest that stand before its patients."""
    found = {
        "version": 1,
        "id": head["id"],
        "name": head.get("name"),
        "asOf": head["asOf"],
        "createdAt": head["createdAt"],
        "definition": head["canonical"],
        "valueSets": head["valueSets"],
        "definitionHash": head["definitionHash"],
        "fhir": head["fhir"],
        "engine": head["engine"],
        "counts": head["counts"],
    }
    return {name: value for name, value in found.items() if value is not None}
