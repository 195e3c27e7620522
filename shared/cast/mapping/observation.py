"""dicomcast §4.7 Observations from dose SRs (PS3.16 TID 10001, 10011, 10021). Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.cast.mapping.codes import DCM, DICOM_UID, LOINC, SNOMED_CT, UCUM, coding, concept, plain_concept
from shared.cast.mapping.date_times import combine, read_date_time
from shared.cast.mapping.imaging_study import accession, study_identifier
from shared.cast.settings import CastSettings
from shared.cast.values import MOST_UNSIGNED, DataSet, decimal, item, items, text, values
from shared.dicom.identifiers import is_uid

SUMMARY = (LOINC, "73569-6")
EVENT = (DCM, "113852")
EVENT_UID = "113769"
STUDY_UID = "110180"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_DOSE_CLASSES = frozenset(f"1.2.840.10008.5.1.4.1.1.88.{number}" for number in (67, 68, 76))
CONTENT = "0040A730"
"""The content items below a content item."""
_CONCEPT_NAME = "0040A043"
_REPORTS = frozenset({(DCM, "113701"), (DCM, "113500")})
_RADIOPHARMACEUTICAL = (DCM, "113502")
_EVENTS = frozenset({(DCM, "113706"), (DCM, "113819"), _RADIOPHARMACEUTICAL})
_ACCUMULATED = frozenset({(DCM, "113702"), (DCM, "113811"), _RADIOPHARMACEUTICAL})
"""Containers that sum up. The administration of a radiopharmaceutical is the only place of its values."""
_OF_SUMMARY = frozenset(
    (
        *(
            (DCM, code)
            for code in [
                "111636",
                "111637",
                "113507",
                "113722",
                "113725",
                "113726",
                "113727",
                "113730",
                "113813",
                "113830",
            ]
        ),
        *((DCM, code) for code in ["113731", "113812", "121058", "123005"]),
        *((SNOMED_CT, code) for code in ["349358000", "89457008", "410675002"]),
    )
)
_OF_EVENT = frozenset((DCM, code) for code in ["113722", "113738", "113830", "113835", "113838", "122130"])
_WHOLE = frozenset({(DCM, "113731"), (DCM, "113812")})
_DEPTH = 32
"""Deepest level of a content tree that is looked at."""

_MAPPED = _OF_SUMMARY | _OF_EVENT | {(DCM, code) for code in ("113809", "111526", EVENT_UID)}

type Code = tuple[str, str]


def may_hold_dose(sop_class: str, data_set: DataSet) -> bool:
    """Whether an instance is worth looking through: a dose SR by its class, or any other SR."""
    return sop_class in _DOSE_CLASSES or CONTENT in data_set


def dose_observations(data_set: DataSet, settings: CastSettings) -> list[dict[str, Any]]:
    """The Observations that an SR asks for, without references: summaries first, then events."""
    summaries, events = [], []
    for container, _depth in walk(data_set, 0):
        name = name_of(container)
        if name in _REPORTS:
            summaries.append(_summary(container, data_set, settings))
        elif name in _EVENTS and (uid := _event_uid(container)):
            events.append(_event(container, uid, data_set, settings))
    return [*summaries[:1], *events]


def is_dose_item(name: Code) -> bool:
    """Whether content items of a concept are mapped, wherever they hang."""
    return name in _MAPPED


def is_whole(name: Code) -> bool:
    """Whether the number of a concept is a count."""
    return name in _WHOLE


def walk(container: DataSet, depth: int) -> Iterator[tuple[DataSet, int]]:
    """A content item and all below it, in depth-first order, each with its depth."""
    yield container, depth
    if depth < _DEPTH:
        for child in items(container, CONTENT):
            yield from walk(child, depth + 1)


def name_of(container: DataSet) -> Code:
    """System and code of the concept of a content item."""
    found = coding(item(container, _CONCEPT_NAME))
    return found.get("system", ""), found.get("code", "")


def child_of(containers: Sequence[DataSet], code: Code) -> DataSet:
    """The first child of one of the containers with that concept; {} if there is none."""
    children = (child for container in containers for child in items(container, CONTENT))
    return next((child for child in children if name_of(child) == code), {})


def _event_uid(container: DataSet) -> str:
    uid = text(child_of([container], (DCM, EVENT_UID)), "0040A124")
    return uid if is_uid(uid) else ""


def _summary(root: DataSet, data_set: DataSet, settings: CastSettings) -> dict[str, Any]:
    sources = [root, *(each for each in items(root, CONTENT) if name_of(each) in _ACCUMULATED)]
    number = accession(data_set, settings)
    told = text(child_of([root], (DCM, "121022")), "0040A160")
    if told:
        number = accession({**data_set, "00080050": {"Value": [told]}}, settings)
    begun = _moment(child_of(sources, (DCM, "113809")), data_set, settings)
    begun = begun or content_date(data_set, settings)
    identifiers = [uid_identifier(text(data_set, "00080018")), study_of(data_set), *([number] if number else [])]
    within = [child for source in sources for child in _below(source)]
    components = _components(within, _OF_SUMMARY)
    return _observation(
        SUMMARY, data_set, settings, identifier=identifiers, effectiveDateTime=begun, component=components
    )


def _below(source: DataSet) -> Iterator[DataSet]:
    """The items below a container, in depth-first order, without the containers of events and those that sum up."""
    for child in items(source, CONTENT):
        if name_of(child) in _EVENTS | _ACCUMULATED:
            continue
        yield from (found for found, _ in walk(child, 1))


def _event(container: DataSet, uid: str, data_set: DataSet, settings: CastSettings) -> dict[str, Any]:
    identifiers = [uid_identifier(uid, EVENT_UID), study_of(data_set), uid_identifier(text(data_set, "00080018"))]
    begun = _moment(child_of([container], (DCM, "111526")), data_set, settings)
    within = [found for found, _ in walk(container, 0)][1:]
    site = concept(item(child_of([container], (DCM, "123014")), "0040A168"))
    return _observation(
        EVENT,
        data_set,
        settings,
        identifier=identifiers,
        effectiveDateTime=begun,
        bodySite=site,
        component=_components(within, _OF_EVENT),
    )


def _observation(
    code: Code, data_set: DataSet, settings: CastSettings, **elements: dict[str, Any] | list[dict[str, Any]] | str
) -> dict[str, Any]:
    done = text(data_set, "0040A491") == "COMPLETE" or text(data_set, "0040A493") == "VERIFIED"
    observation = {
        "resourceType": "Observation",
        "meta": {"source": settings.base},
        "identifier": elements.pop("identifier"),
        "status": "final" if done and settings.observation_status == "auto" else "preliminary",
        "category": [plain_concept(CATEGORY, "imaging")],
        "code": plain_concept(*code),
        **elements,
    }
    return {name: value for name, value in observation.items() if value}


def uid_identifier(uid: str, kind: str = "") -> dict[str, Any]:
    """A UID as an Identifier; `kind`: code of DCM of what it is the UID of."""
    typed = {"type": {"coding": [{"system": DCM, "code": kind}]}} if kind else {}
    return {**typed, "system": DICOM_UID, "value": f"urn:oid:{uid}"}


def study_of(data_set: DataSet) -> dict[str, Any]:
    """The Identifier of the study."""
    typed = {"type": {"coding": [{"system": DCM, "code": STUDY_UID}]}}
    return {**typed, **study_identifier(text(data_set, "0020000D"))}


def _moment(child: DataSet, data_set: DataSet, settings: CastSettings) -> str:
    written = text(child, "0040A120")
    return read_date_time(written, text(data_set, "00080201"), settings.zone).text if written else ""


def content_date(data_set: DataSet, settings: CastSettings) -> str:
    """When the content of an SR came about; empty if it does not tell."""
    day = text(data_set, "00080023")
    if not day:
        return ""
    return combine(day, text(data_set, "00080033"), text(data_set, "00080201"), settings.zone).text


def _components(within: Sequence[DataSet], wanted: frozenset[Code]) -> list[dict[str, Any]]:
    """A component for each code, the first in depth-first order."""
    found: dict[Code, dict[str, Any]] = {}
    for child in within:
        name = name_of(child)
        if name in wanted and name not in found and (value := _value(child, whole=name in _WHOLE)):
            display = coding(item(child, _CONCEPT_NAME)).get("display", "")
            found[name] = {"code": plain_concept(*name, display), **value}
    return list(found.values())


def _value(child: DataSet, *, whole: bool) -> dict[str, Any]:
    measured = item(child, "0040A300")
    if measured:
        return quantity(measured, whole=whole)
    if code := concept(item(child, "0040A168")):
        return {"valueCodeableConcept": code}
    words = text(child, "0040A160")
    return {"valueString": words} if words else {}


def quantity(measured: DataSet, *, whole: bool) -> dict[str, Any]:
    """The value of a number with its unit; {} if it is none."""
    number = _number(measured)
    if number is None:
        return {}
    if whole:
        return {"valueInteger": int(number)} if number.is_integer() and abs(number) <= MOST_UNSIGNED else {}
    unit = coding(item(measured, "004008EA"))
    quantity: dict[str, Any] = {"value": number}
    if unit.get("system") == UCUM:
        quantity |= {"unit": unit.get("display") or unit["code"], "system": UCUM, "code": unit["code"]}
    elif unit.get("display"):
        quantity["unit"] = unit["display"]
    return {"valueQuantity": quantity}


def _number(measured: DataSet) -> float | int | None:
    """The first numeric value, as a number that JSON can write."""
    number = decimal(next(iter(values(measured, "0040A30A")), None))
    return int(number) if number is not None and number.is_integer() and abs(number) < 2**53 else number
