"""dicomcast §4.4, §4.6 The ImagingStudy of a study, as DICOM alone would have it. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.cast.mapping.body_parts import body_part
from shared.cast.mapping.codes import (
    DCM,
    DICOM_UID,
    IDENTIFIER_TYPE,
    SNOMED_CT,
    URI,
    coding,
    concept,
    is_oid,
    scheme_of,
    system_of,
    value_of,
)
from shared.cast.mapping.date_times import combine
from shared.cast.mapping.patient import human_name
from shared.cast.model import Instance, Series, Study
from shared.cast.settings import CastSettings
from shared.cast.values import DataSet, item, items, text, texts, unsigned

NO_MODALITY = "OT"
"""Modality of a series that tells none: R4 requires one."""
_NOT_ACQUIRED = frozenset(
    [
        "SR",
        "KO",
        "PR",
        "AU",
        "DOC",
        "SEG",
        "REG",
        "FID",
        "RWV",
        "PLAN",
        "ANN",
        "ASMT",
        "RTSTRUCT",
        "RTPLAN",
        "RTDOSE",
        "RTRECORD",
        "RTSEGANN",
        "RTRAD",
        "RTINTENT",
    ]
)
"""Modalities of objects that are made of images."""
_CODE_STRING = re.compile(r"(?=.{1,16}\Z)[A-Z0-9_]+(?: [A-Z0-9_]+)*", re.ASCII)
"""A CS value that FHIR can hold as a code: single blanks only."""
_LATERALITIES = {
    "R": ("24028007", "Right"),
    "L": ("7771000", "Left"),
    "B": ("51440002", "Bilateral"),
}
_PERFORMER = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


@dataclass(frozen=True, slots=True)
class References:
    """Resources that an ImagingStudy refers to."""

    patient: str
    """`Patient/id`, or the `urn:uuid:` of one in the same transaction; empty: none is known."""
    endpoint: str
    order: str = ""
    """`ServiceRequest/id` of the order; empty: named by its identifier."""


def study_identifier(uid: str) -> dict[str, Any]:
    """The identifier of a study."""
    return {"system": DICOM_UID, "value": f"urn:oid:{uid}"}


def accession(study: DataSet, settings: CastSettings) -> dict[str, Any]:
    """The accession number as an identifier; {} if there is none."""
    value = text(study, "00080050")
    if not value:
        return {}
    kind = {"coding": [{"system": IDENTIFIER_TYPE, "code": "ACSN"}]}
    system = _accession_system(study, settings)
    return {"type": kind, **({"system": system} if system else {}), "value": value}


def _accession_system(study: DataSet, settings: CastSettings) -> str:
    issuer = item(study, "00080051")
    if is_oid(text(issuer, "00400032")) and text(issuer, "00400033") in ("", "ISO"):
        return f"urn:oid:{text(issuer, '00400032')}"
    return settings.issuers.get(text(issuer, "00400031"), settings.accession_system)


def wanted_study(study: Study, settings: CastSettings, references: References) -> dict[str, Any]:
    """The resource that is created; nothing in it is empty."""
    attributes = study.attributes
    with_instances = settings.instances == "all" or (
        settings.instances == "auto" and study.instances <= settings.instance_limit
    )
    number = accession(attributes, settings)
    description = text(attributes, "00081030")
    order: dict[str, Any] = {"reference": references.order} if references.order else {}
    if number.get("system") and not order:
        order = {"type": "ServiceRequest", "identifier": number}
    request = item(attributes, "00400275")
    procedures = items(attributes, "00081032") or items(request, "00321064") or items(attributes, "00321064")
    resource: dict[str, Any] = {
        "resourceType": "ImagingStudy",
        "meta": {"source": settings.base},
        "identifier": [study_identifier(study.uid), *([number] if number else [])],
        "status": "available",
        "modality": modalities([modality_code(each) for each in study.series], settings),
        "subject": {"reference": references.patient} if references.patient else _unknown_patient(attributes),
        "started": started(attributes, "00080020", "00080030", settings),
        "basedOn": [order] if order else [],
        "referrer": _referrer(attributes),
        "interpreter": [{"display": name} for name in _names(attributes, "00081060")],
        "endpoint": [{"reference": references.endpoint}],
        "numberOfSeries": len(study.series),
        "numberOfInstances": study.instances,
        "procedureCode": _concepts(procedures),
        "location": _displayed(text(attributes, "00081040") or text(attributes, "00080080")),
        "reasonCode": _reasons(attributes, request),
        "note": [{"text": description}] if description and settings.description_target != "description" else [],
        "description": description if settings.description_target != "note" else "",
        "series": [wanted_series(each, settings, with_instances=with_instances) for each in study.series],
    }
    kept = ("numberOfSeries", "numberOfInstances")
    return {name: value for name, value in resource.items() if value or name in kept}


def _unknown_patient(attributes: DataSet) -> dict[str, Any]:
    return {"display": display_name(text(attributes, "00100010")) or "Unknown"}


def modality_code(series: Series) -> str:
    """The modality of a series."""
    return modality(series.attributes) or NO_MODALITY


def modality(attributes: DataSet) -> str:
    """The Modality, in capital letters as a code string is (PS3.5 §6.2); empty if it is absent or none."""
    found = text(attributes, "00080060").upper()
    return found if _CODE_STRING.fullmatch(found) else ""


def modalities(codes: Sequence[str], settings: CastSettings) -> list[dict[str, str]]:
    """`modality` of the study from those of its series, in their order."""
    system = settings.modality_system or DCM
    distinct = list(dict.fromkeys(codes))
    if settings.modalities == "acquisition":
        distinct = [code for code in distinct if code not in _NOT_ACQUIRED] or distinct
    return [{"system": system, "code": code} for code in distinct]


def started(attributes: DataSet, day: str, time: str, settings: CastSettings) -> str:
    """The beginning, by the attributes of those tags; empty if it is not known."""
    date = text(attributes, day)
    return combine(date, text(attributes, time), text(attributes, "00080201"), settings.zone).text if date else ""


def wanted_series(series: Series, settings: CastSettings, *, with_instances: bool) -> dict[str, Any]:
    """One series."""
    attributes = series.attributes
    begun = started(attributes, "00080021", "00080031", settings) or started(
        attributes, "00400244", "00400245", settings
    )
    number = unsigned(text(attributes, "00200011"))
    performers = [*_names(attributes, "00081050"), *_names(attributes, "00081070")]
    element: dict[str, Any] = {
        "uid": series.uid,
        "number": number,
        "modality": {"system": settings.modality_system or DCM, "code": modality_code(series)},
        "description": text(attributes, "0008103E"),
        "numberOfInstances": len(series.instances),
        "bodySite": _body_site(attributes),
        "laterality": _laterality(attributes),
        "started": begun,
        "performer": [
            {"function": {"coding": [{"system": _PERFORMER, "code": "PRF"}]}, "actor": {"display": name}}
            for name in dict.fromkeys(performers)
        ],
        "instance": [_instance(each) for each in series.instances] if with_instances else [],
    }
    return {name: value for name, value in element.items() if value or (name == "number" and value == 0)}


def _instance(instance: Instance) -> dict[str, Any]:
    element: dict[str, Any] = {
        "uid": instance.uid,
        "sopClass": {"system": URI, "code": f"urn:oid:{instance.sop_class}"},
    }
    if instance.number is not None:
        element["number"] = instance.number
    if instance.title:
        element["title"] = instance.title
    return element


def _body_site(attributes: DataSet) -> dict[str, str]:
    region = coding(item(attributes, "00082218"))
    if region:
        return region
    part = text(attributes, "00180015")
    return body_part(part) if part else {}


def _laterality(attributes: DataSet) -> dict[str, str]:
    found = _LATERALITIES.get(text(attributes, "00200060") or text(attributes, "00200062"))
    return {"system": SNOMED_CT, "code": found[0], "display": found[1]} if found else {}


def _concepts(found: Sequence[DataSet]) -> list[dict[str, Any]]:
    return [each for each in map(concept, found) if each]


def _reasons(attributes: DataSet, request: DataSet) -> list[dict[str, Any]]:
    found = _concepts(items(attributes, "00401012") or items(request, "0040100A"))
    words = text(request, "00401002")
    return found or ([{"text": words}] if words else [])


def _referrer(attributes: DataSet) -> dict[str, Any]:
    person = item(item(attributes, "00080096"), "00401101")
    name = display_name(text(attributes, "00080090"))
    element: dict[str, Any] = {"display": name} if name else {}
    if value_of(person):
        system = system_of(scheme_of(person))
        identifier = {**({"system": system} if system else {}), "value": value_of(person)}
        element = {"type": "Practitioner", "identifier": identifier, **element}
    return element


def _names(attributes: DataSet, tag: str) -> list[str]:
    return [name for each in texts(attributes, tag) if (name := display_name(each))]


def display_name(name: str) -> str:
    """A person name as people write it."""
    parts = human_name(name.split("=", maxsplit=1)[0])
    words = [*parts.get("prefix", []), *parts.get("given", []), parts.get("family", ""), *parts.get("suffix", [])]
    return " ".join(word for word in words if word)


def _displayed(words: str) -> dict[str, str]:
    return {"display": words} if words else {}
