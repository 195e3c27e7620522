"""dicomcast §4.8, §4.9 An ImagingStudy that is there, with what DICOM has now. Pure.

Only what this service wrote is ever removed: series that its record names, or that carry its Endpoint. Equal content
gives equal JSON, so that what has not changed is not written.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from shared.cast.mapping.codes import DCM, IDENTIFIER_TYPE
from shared.cast.mapping.imaging_study import modalities
from shared.cast.settings import CastSettings, normalised_base
from shared.cast.values import unsigned
from shared.fhir.resources import Resource, elements, referenced

_OLD_SYSTEM = "DCM"
"""System of modalities as the archived DICOMcast wrote them."""
_OF_SERIES = frozenset(
    [
        "uid",
        "number",
        "modality",
        "description",
        "numberOfInstances",
        "bodySite",
        "laterality",
        "started",
        "performer",
        "instance",
    ]
)
_ONLY_IF_ABSENT = ("referrer", "interpreter", "location")


@dataclass(frozen=True, slots=True)
class Ownership:
    """The elements of a resource that are this service's."""

    created: bool
    """The whole resource: `meta.source` is ours."""
    written_series: AbstractSet[str] | None
    """Series that this service wrote; None: nothing is recorded."""
    endpoint: str
    """Reference of its Endpoint, `Type/id`; empty while that is not known to the server."""
    base: str
    """Of the FHIR server, for absolute references."""
    refused: Mapping[str, AbstractSet[str]]
    """Instances that DICOM has and that cannot be written, by series: they stay as they are."""

    def others(self, resource: Resource) -> list[Resource]:
        """The Endpoints of other services that a resource or a series carries."""
        return [
            each for each in elements(resource, "endpoint") if referenced(each, self.base) not in ("", self.endpoint)
        ]

    def owns(self, series: Resource) -> bool:
        """Whether this service has written a series."""
        carried = {referenced(each, self.base) for each in elements(series, "endpoint")}
        if (self.endpoint and self.endpoint in carried) or (
            self.written_series is not None and series.get("uid") in self.written_series
        ):
            return True
        return self.written_series is None and self.created and not carried


def is_ours(resource: Resource, settings: CastSettings) -> bool:
    """Whether `meta.source` says that this service created a resource (dicomcast §4.3)."""
    meta = resource.get("meta")
    source = meta.get("source", "") if isinstance(meta, Mapping) else ""
    return isinstance(source, str) and normalised_base(source) == settings.base


def merged_study(existing: Resource, wanted: Resource, ownership: Ownership, settings: CastSettings) -> dict[str, Any]:
    """The resource that is to replace `existing`."""
    study: dict[str, Any] = copy.deepcopy(dict(existing))
    for element in ("started", "description"):
        if element in wanted:
            study[element] = wanted[element]
    for element in _ONLY_IF_ABSENT:
        if element in wanted and not study.get(element):
            study[element] = wanted[element]
    if "reference" in wanted["subject"] and (
        referenced(study.get("subject"), ownership.base) != wanted["subject"]["reference"]
    ):
        study["subject"] = wanted["subject"]
    if study.get("status") == "cancelled":
        study["status"] = "available"
    _unite(study, wanted, "endpoint", lambda each: referenced(each, ownership.base))
    _unite(study, wanted, "note", lambda each: each.get("text"))
    for element in ("procedureCode", "reasonCode"):
        _unite(study, wanted, element, _concept_key)
    _unite_orders(study, wanted)
    _unite_identifiers(study, wanted)
    series = [_merged_series(each, study, ownership) for each in elements(wanted, "series")]
    _set_series(study, series, {each["uid"] for each in series}, ownership, settings)
    return {name: value for name, value in study.items() if value not in ([], {}, "", None)}


def without_ours(existing: Resource, ownership: Ownership, settings: CastSettings) -> dict[str, Any]:
    """The resource without what this service wrote into it: DICOM has nothing of the study any more."""
    study: dict[str, Any] = copy.deepcopy(dict(existing))
    _set_series(study, [], set(), ownership, settings)
    study["endpoint"] = [
        each for each in elements(study, "endpoint") if referenced(each, ownership.base) != ownership.endpoint
    ]
    return {name: value for name, value in study.items() if value not in ([], {}, "", None)}


def cancelled(existing: Resource, ownership: Ownership, settings: CastSettings) -> dict[str, Any]:
    """The resource of a study that is gone, where it must stay (dicomcast §4.8)."""
    return {**without_ours(existing, ownership, settings), "status": "cancelled"}


def same(one: Resource, other: Resource) -> bool:
    """Whether two resources say the same; `meta.versionId` and `lastUpdated` do not count."""
    return _compared(one) == _compared(other)


def _compared(resource: Resource) -> dict[str, Any]:
    meta = resource.get("meta")
    kept = {name: value for name, value in meta.items() if name not in ("versionId", "lastUpdated")} if meta else {}
    return {**resource, "meta": kept}


# ----------------------------------------------------------------------------------------------------------- series


def _merged_series(wanted: Resource, study: Resource, ownership: Ownership) -> dict[str, Any]:
    held = next((each for each in elements(study, "series") if each.get("uid") == wanted["uid"]), {})
    merged = {**{name: value for name, value in held.items() if name not in _OF_SERIES}, **wanted}
    others = ownership.others(held) or _of_creator(held, study, ownership)
    refused = ownership.refused.get(wanted["uid"], frozenset())
    mine = {each["uid"] for each in elements(wanted, "instance")}
    kept = [
        each
        for each in elements(held, "instance")
        if each.get("uid") in refused or (others and mine and each.get("uid") not in mine)
    ]
    if kept:
        merged["instance"] = sorted([*elements(merged, "instance"), *kept], key=_order)
        merged["numberOfInstances"] = merged.get("numberOfInstances", 0) + len(kept)
    if (others or not ownership.created) and ownership.endpoint:
        carried = elements(held, "endpoint") or others
        named = any(referenced(each, ownership.base) == ownership.endpoint for each in carried)
        merged["endpoint"] = [*carried, *([] if named else [{"reference": ownership.endpoint}])]
    return merged


def _of_creator(held: Resource, study: Resource, ownership: Ownership) -> list[Resource]:
    """The Endpoint of who created the resource, for a series that stands there without any: it is theirs as well."""
    if not held or ownership.created or elements(held, "endpoint"):
        return []
    others = ownership.others(study)
    return others if len(others) == 1 else []


def _set_series(
    study: dict[str, Any],
    series: Sequence[Mapping[str, Any]],
    uids: AbstractSet[str],
    ownership: Ownership,
    settings: CastSettings,
) -> None:
    kept = []
    for held in elements(study, "series"):
        if held.get("uid") in uids:
            continue
        refused = ownership.refused.get(str(held.get("uid")), frozenset())
        if refused or not ownership.owns(held):
            kept.append(held)
        elif others := ownership.others(held):
            kept.append({**held, "endpoint": others})
    study["series"] = sorted([*series, *kept], key=_order)
    study["numberOfSeries"] = len(study["series"])
    study["numberOfInstances"] = sum(map(_count, study["series"]))
    codes = [each["modality"].get("code", "") for each in study["series"] if isinstance(each.get("modality"), Mapping)]
    wanted = modalities([code for code in codes if code], settings)
    own = {DCM, _OLD_SYSTEM, settings.modality_system}
    others = [each for each in elements(study, "modality") if each.get("system") not in own]
    study["modality"] = [*wanted, *others]


def _count(series: Resource) -> int:
    number = series.get("numberOfInstances")
    return number if isinstance(number, int) else len(elements(series, "instance"))


def _order(element: Resource) -> tuple[int, str]:
    number = element.get("number")
    found = unsigned(str(number)) if number is not None else None
    return -1 if found is None else found, str(element.get("uid", ""))


# ------------------------------------------------------------------------------------------------------------ lists


def _unite(study: dict[str, Any], wanted: Resource, element: str, key: Callable[[Resource], Any]) -> None:
    held = elements(study, element)
    known = {key(each) for each in held}
    study[element] = [*held, *(each for each in elements(wanted, element) if key(each) not in known)]


def _concept_key(concept: Resource) -> tuple[Any, ...]:
    codings = tuple((each.get("system", ""), each.get("code", "")) for each in elements(concept, "coding"))
    return codings or (concept.get("text", ""),)


def _unite_orders(study: dict[str, Any], wanted: Resource) -> None:
    """An order that is found takes the place of its identifier."""
    held = elements(study, "basedOn")
    for order in elements(wanted, "basedOn"):
        accession = next((each for each in elements(wanted, "identifier") if _is_accession(each)), None)
        if "reference" in order:
            held = [each for each in held if "reference" in each or _pair(each.get("identifier")) != _pair(accession)]
            known = any(each.get("reference") == order["reference"] for each in held)
        else:
            known = any(_pair(each.get("identifier")) == _pair(order["identifier"]) for each in held)
        if not known:
            held = [*held, order]
    study["basedOn"] = held


def _unite_identifiers(study: dict[str, Any], wanted: Resource) -> None:
    held = [dict(each) for each in elements(study, "identifier")]
    for identifier in elements(wanted, "identifier"):
        if any(_pair(each) == _pair(identifier) for each in held):
            continue
        older = next((each for each in held if _is_older_form(each, identifier)), None)
        if older is None:
            held.append(dict(identifier))
        else:
            older["system"] = identifier["system"]
    study["identifier"] = held


def _is_older_form(held: Resource, identifier: Resource) -> bool:
    """An accession number without the system that it has got since."""
    same_value = held.get("value") == identifier.get("value") and not held.get("system")
    return same_value and bool(identifier.get("system")) and _is_accession(held) and _is_accession(identifier)


def _is_accession(identifier: Resource) -> bool:
    kind = identifier.get("type")
    codings = elements(kind, "coding") if isinstance(kind, Mapping) else []
    return any(each.get("system") == IDENTIFIER_TYPE and each.get("code") == "ACSN" for each in codings)


def _pair(identifier: Any) -> tuple[str, str] | None:
    if not isinstance(identifier, Mapping):
        return None
    return identifier.get("system", ""), identifier.get("value", "")
