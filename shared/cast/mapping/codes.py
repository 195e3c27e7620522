"""dicomcast §4.6 Coded items (PS3.3 §8.8) as FHIR Codings. Pure."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from shared.cast.values import DataSet, text

DCM = "http://dicom.nema.org/resources/ontology/DCM"
SNOMED_CT = "http://snomed.info/sct"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
DICOM_UID = "urn:dicom:uid"
URI = "urn:ietf:rfc:3986"
IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"

_SYSTEMS: Mapping[str, str] = {
    "DCM": DCM,
    "SCT": SNOMED_CT,
    "LN": LOINC,
    "UCUM": UCUM,
    "RADLEX": "http://radlex.org",
    "RADELEMENT": "http://radelement.org",
    "NCIt": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I10P": "http://www.cms.gov/Medicare/Coding/ICD10",
    "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "ICDO3": "http://terminology.hl7.org/CodeSystem/icd-o-3",
}
_OLD_SNOMED = frozenset({"SRT", "SNM3", "99SDM"})
"""Schemes of SNOMED RT codes, which became concept ids of SNOMED CT."""
_OID = re.compile(r"[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII)
_CODE = re.compile(r"\S+(?: \S+)*")
"""FHIR R4 code: no blanks around it, and none but single ones in it."""


def is_oid(text: str) -> bool:
    """Whether a text is an object identifier."""
    return _OID.fullmatch(text) is not None


def is_code(text: str) -> bool:
    """Whether FHIR can hold a text as a code."""
    return _CODE.fullmatch(text) is not None


def value_of(item: DataSet) -> str:
    """The code value: short, long or as a URN."""
    return text(item, "00080100") or text(item, "00080119") or text(item, "00080120")


def is_malformed(item: DataSet) -> bool:
    """Whether a coded item has no code, one that is none, or one without a coding scheme (PS3.3 §8.1, §8.2)."""
    code = value_of(item)
    return not is_code(code) or not (scheme_of(item) or text(item, "00080120"))


def scheme_of(item: DataSet) -> str:
    """The coding scheme designator."""
    return text(item, "00080102")


def system_of(scheme: str) -> str:
    """The FHIR system of a scheme; empty if it has none of its own."""
    return _systems_by_upper_case().get(scheme.upper(), "")


@cache
def _systems_by_upper_case() -> Mapping[str, str]:
    return {scheme.upper(): system for scheme, system in _SYSTEMS.items()}


def coding(item: DataSet) -> dict[str, str]:
    """The Coding; {} if the item says nothing."""
    code, scheme, display = value_of(item), scheme_of(item), text(item, "00080104")
    system = system_of(scheme)
    if scheme.upper() in _OLD_SNOMED:
        concept = _snomed_ct(code)
        system, code = (SNOMED_CT, concept) if concept else ("", "")
    elif not system:
        oid = text(item, "0008010C") or text(item, "00080110")
        system = f"urn:oid:{oid}" if is_oid(oid) else ""
        code = code if system else ""
    code = code if is_code(code) else ""
    parts = {"system": system if code else "", "code": code, "display": display}
    return {name: value for name, value in parts.items() if value}


def concept(item: DataSet) -> dict[str, Any]:
    """The CodeableConcept; {} if the item says nothing. What has no coding keeps its text."""
    found = coding(item)
    if found.get("code"):
        return {"coding": [found]}
    words = found.get("display") or value_of(item)
    return {"text": words} if words else {}


def _snomed_ct(code: str) -> str:
    """The concept id of a SNOMED RT code; empty if it has none."""
    from pydicom.sr._snomed_dict import mapping

    found = mapping["SRT"].get(code, "")
    return str(found)


def plain_concept(system: str, code: str, display: str = "") -> dict[str, Any]:
    """A CodeableConcept of one code."""
    return {"coding": [{"system": system, "code": code, **({"display": display} if display else {})}]}
