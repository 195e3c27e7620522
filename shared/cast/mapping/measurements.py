"""AIX-4 Observations from measurement reports (PS3.16 TID 1500, TID 1501): one for each number of a group. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from shared.cast.mapping.codes import DCM, DICOM_UID, SNOMED_CT, concept, plain_concept
from shared.cast.mapping.observation import (
    CATEGORY,
    CONTENT,
    child_of,
    content_date,
    name_of,
    quantity,
    study_of,
    uid_identifier,
)
from shared.cast.settings import CastSettings
from shared.cast.values import DataSet, item, items, text
from shared.dicom.identifiers import is_uid
from shared.fhir.resources import Resource, elements

_GROUP: Final = (DCM, "125007")
_TRACKING_UID: Final = "112040"
_FINDING_SITE: Final = (SNOMED_CT, "363698007")
_DEVICE_UID: Final = (DCM, "121012")
_DEVICE_NAME: Final = (DCM, "121013")
_MANUFACTURER: Final = (DCM, "121014")
_MODEL: Final = (DCM, "121015")
_SERIAL: Final = (DCM, "121016")
_ALGORITHM_VERSION: Final = (DCM, "111003")
_PLACE: Final = "Place of the measurement in its report"
"""The kind of the identifier of a measurement without a tracking UID."""
_DEPTH: Final = 32
"""Deepest level of a content tree that is looked at."""
_MOST: Final = 1_000
"""Measurements of one report that become Observations."""


def measurement_observations(data_set: DataSet, settings: CastSettings) -> list[dict[str, Any]]:
    """The Observations of a report, without references. Those whose concept has no code, or no value, are left out."""
    report = text(data_set, "00080018")
    begun = content_date(data_set, settings)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for group, place in _groups(data_set, ()):
        tracking = text(child_of([group], (DCM, _TRACKING_UID)), "0040A124")
        site = concept(item(child_of([group], _FINDING_SITE), "0040A168"))
        for number, child in enumerate(items(group, CONTENT), 1):
            value = quantity(item(child, "0040A300"), whole=False) if text(child, "0040A040") == "NUM" else {}
            named = concept(item(child, "0040A043"))
            system, code = name_of(child)
            if not value or not system or len(found) == _MOST:
                continue
            key = uid_identifier(tracking, _TRACKING_UID) if is_uid(tracking) else {}
            if not key or (code, tracking) in found:
                key = _placed(report, (*place, number))
            found[code, key["value"].removeprefix("urn:oid:")] = {
                "resourceType": "Observation",
                "meta": {"source": settings.base},
                "identifier": [key, study_of(data_set), uid_identifier(report)],
                "status": "preliminary",
                "category": [plain_concept(CATEGORY, "imaging")],
                "code": named,
                **({"effectiveDateTime": begun} if begun else {}),
                **({"bodySite": site} if site else {}),
                **value,
            }
    return list(found.values())


def is_measured_item(parent: DataSet, child: DataSet) -> bool:
    """Whether a content item is mapped: a number of a group, what tracks it, or the device of the report."""
    name = name_of(child)
    if name in ((DCM, _TRACKING_UID), _DEVICE_UID):
        return True
    return text(child, "0040A040") == "NUM" and name_of(parent) == _GROUP


def observing_device(data_set: DataSet, settings: CastSettings) -> dict[str, Any]:
    """The Device that has made a report, by its own UID; {} if the report names none."""
    content = [data_set]
    uid = text(child_of(content, _DEVICE_UID), "0040A124")
    if not is_uid(uid):
        return {}
    name = text(child_of(content, _DEVICE_NAME), "0040A160")
    told = {
        "manufacturer": text(child_of(content, _MANUFACTURER), "0040A160"),
        "modelNumber": text(child_of(content, _MODEL), "0040A160"),
        "serialNumber": text(child_of(content, _SERIAL), "0040A160"),
    }
    versions = (text(child_of([group], _ALGORITHM_VERSION), "0040A160") for group, _ in _groups(data_set, ()))
    version = next(filter(None, versions), "")
    return {
        "resourceType": "Device",
        "meta": {"source": settings.base},
        "identifier": [uid_identifier(uid)],
        **({"deviceName": [{"name": name, "type": "user-friendly-name"}]} if name else {}),
        **{member: value for member, value in told.items() if value},
        **({"version": [{"value": version}]} if version else {}),
    }


def is_measurement(observation: Resource) -> bool:
    """Whether an Observation is one of a measurement, by the identifier that it is found by."""
    kind = next(iter(elements(observation, "identifier")), {}).get("type")
    if not isinstance(kind, Mapping):
        return False
    codes = {each.get("code") for each in elements(kind, "coding") if each.get("system") == DCM}
    return _TRACKING_UID in codes or kind.get("text") == _PLACE


def _groups(container: DataSet, place: tuple[int, ...]) -> Iterator[tuple[DataSet, tuple[int, ...]]]:
    """The measurement groups of a content tree, with their places in it: item numbers from 1 on."""
    if name_of(container) == _GROUP:
        yield container, place
    elif len(place) < _DEPTH:
        for number, child in enumerate(items(container, CONTENT), 1):
            yield from _groups(child, (*place, number))


def _placed(report: str, place: tuple[int, ...]) -> dict[str, Any]:
    path = ".".join(map(str, place))
    return {"type": {"text": _PLACE}, "system": DICOM_UID, "value": f"urn:oid:{report}#{path}"}
