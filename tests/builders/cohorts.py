"""Dictionaries, questions and definitions of cohorts for tests."""

import random
from datetime import date, timedelta
from typing import Any

from shared.cohorts.definition.model import MedicationStatus, ReportStatus, Verification
from shared.cohorts.language.dictionary import CodedText, Dictionary, TermKind
from shared.cohorts.value_sets import shipped_value_sets

SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"

_CONDITIONS = {
    "76909002": "Ewing's sarcoma (disorder)",
    "38341003": "Hypertension",
    "73211009": "Diabetes mellitus (disorder)",
    "254637007": "Non-small cell lung cancer",
    "195967001": "Asthma",
    "22298006": "Myocardial infarction",
    "190634004": "Vitamin B12 deficiency",
    "49049000": "Parkinson's disease",
}
_DRUGS = {"3639": "doxorubicin", "2555": "cisplatin", "6851": "methotrexate", "5640": "ibuprofen", "6809": "metformin"}


def coded(kind: TermKind, system: str, code: str, *terms: str) -> CodedText:
    """A CodeableConcept of a site."""
    return CodedText(kind, frozenset({(system, code)}), frozenset(terms))


SITE = [
    coded(TermKind.CONDITION, SNOMED, "307576001", "Osteosarcoma of bone (disorder)"),
    coded(TermKind.CONDITION, "urn:oid:2.25.100.9", "RMS-1", "Rhabdomyosarcoma"),
    *(coded(TermKind.CONDITION, SNOMED, code, term) for code, term in _CONDITIONS.items()),
    *(coded(TermKind.MEDICATION, RXNORM, code, term) for code, term in _DRUGS.items()),
    coded(TermKind.OBSERVATION, "http://loinc.org", "718-7", "Hemoglobin"),
    coded(TermKind.PROCEDURE, SNOMED, "80146002", "Appendectomy"),
]
"""What the codes of a small site say."""
DICTIONARY = Dictionary.build(SITE, shipped_value_sets())

SEED: dict[str, Any] = {
    "version": 1,
    "name": "osteosarcoma-over-45-with-ct",
    "asOf": "2026-06-30",
    "patient": {"age": {"gt": 45, "at": "asOf"}, "gender": "any"},
    "conditions": [
        {
            "code": {"valueSet": "osteosarcoma"},
            "when": {"within": "P2Y", "of": ["onset", "recorded"]},
            "verification": {"not": ["refuted", "entered-in-error"]},
        }
    ],
    "imaging": {"required": True, "modality": ["CT"], "bodySite": "any", "when": "any"},
    "collect": {
        "studies": "matching",
        "reports": {"linkedTo": "studies", "status": ["final", "amended", "corrected", "appended"]},
        "medications": {"when": "any", "notStatus": ["entered-in-error"]},
        "conditions": "matching",
    },
    "consent": {"mode": "ignore"},
    "limits": {"patients": 10000},
}
CT: dict[str, Any] = {"modality": ["CT"]}
ASTHMA: dict[str, Any] = {"code": {"codes": [{"system": "http://snomed.info/sct", "code": "195967001"}]}}

_SITES = ("foot", "knee", "chest", "abdomen and pelvis", "lumbar spine")
_MODALITIES = ("CT", "MR", "US", "CR", "DX", "MG", "PT", "NM", "XA", "RF", "IVUS")


class Definitions:
    """Definitions drawn from the whole of what has words (NL-21), from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def draw(self) -> dict[str, Any]:
        """The next one."""
        chance = self._random.random
        definition: dict[str, Any] = {"version": 1}
        if chance() < 0.3:
            definition["asOf"] = self._day()
        conditions = [self._entry(self._condition()) for _ in range(self._few())]
        drugs = [self._entry(self._drug()) for _ in range(self._few())]
        if conditions:
            definition["conditions"] = conditions
        if drugs:
            definition["medications"] = drugs
        one = sum("not" not in each for each in conditions) == 1
        if chance() < 0.6:
            definition["imaging"] = self._imaging(after=one)
        patient: dict[str, Any] = {}
        if chance() < 0.6:
            patient["age"] = self._age(diagnosis=one, study=definition.get("imaging", {}).get("required", False))
        if chance() < 0.4:
            patient["gender"] = self._random.choice(["male", "female", "other", "unknown"])
        if patient:
            definition["patient"] = patient
        if not (conditions or drugs or patient or definition.get("imaging", {}).get("required")):
            definition["patient"] = {"gender": "female"}
        if collect := self._collect():
            definition["collect"] = collect
        return definition

    def _few(self) -> int:
        return self._random.choice([0, 0, 1, 1, 1, 2, 3])

    def _some(self, texts: Any, least: int = 0) -> list[str]:
        texts = list(texts)
        return self._random.sample(texts, self._random.randint(least, len(texts)))

    def _day(self) -> str:
        return (date(2015, 1, 1) + timedelta(days=self._random.randrange(4000))).isoformat()

    def _entry(self, inner: dict[str, Any]) -> dict[str, Any]:
        return {"not": inner} if self._random.random() < 0.25 else inner

    def _when(self) -> dict[str, Any]:
        form = self._random.randrange(4)
        if form == 0:
            duration = self._random.choice(["P2Y", "P18M", "P10W", "P1Y6M", "P1M", "P30D", "P1D", "P2M10D", "P1W"])
            return {"within": duration}
        since, until = sorted((self._day(), self._day()))
        return [{"since": since}, {"until": until}, {"since": since, "until": until}][form - 1]

    def _codes(self, kind: TermKind, system: str, codes: Any) -> dict[str, Any]:
        drawn = self._some(codes, 1)[:3]
        code: dict[str, Any] = {"codes": [{"system": system, "code": each} for each in drawn]}
        if kind is TermKind.CONDITION and self._random.random() < 0.3:
            code["valueSet"] = "osteosarcoma"
            if self._random.random() < 0.6:
                code.pop("codes")
        return code

    def _condition(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"code": self._codes(TermKind.CONDITION, SNOMED, _CONDITIONS)}
        if self._random.random() < 0.5:
            kinds = [["onset"], ["recorded"], ["onset", "recorded"], ["recorded", "onset"]]
            entry["when"] = self._when() | {"of": self._random.choice(kinds)}
        if self._random.random() < 0.2:
            entry["verification"] = {"not": self._some(Verification.__value__.__args__)}
        return entry

    def _drug(self) -> dict[str, Any]:
        entry: dict[str, Any] = {"code": self._codes(TermKind.MEDICATION, RXNORM, _DRUGS)}
        if self._random.random() < 0.4:
            entry["when"] = self._when()
        if self._random.random() < 0.2:
            entry["notStatus"] = self._some(MedicationStatus.__value__.__args__)
        return entry

    def _study(self, *, after: bool) -> dict[str, Any]:
        study: dict[str, Any] = {}
        if self._random.random() < 0.6:
            study["modality"] = self._some(_MODALITIES, 1)[:3]
        if self._random.random() < 0.3:
            names = self._some(_SITES, 1)[:2]
            codes = sorted(code for each in names for code in DICTIONARY.meanings(each)[0].codes)
            study["bodySite"] = {"codes": [{"system": system, "code": code} for system, code in codes]}
        if self._random.random() < 0.4:
            study["when"] = {"after": "diagnosis"} if after and self._random.random() < 0.4 else self._when()
        return study

    def _imaging(self, *, after: bool) -> dict[str, Any]:
        imaging = {"required": self._random.random() < 0.7} | self._study(after=after)
        if self._random.random() < 0.3 and (no := self._study(after=after)):
            imaging["not"] = no
        return imaging

    def _age(self, *, diagnosis: bool, study: bool) -> dict[str, Any]:
        low, high = sorted((self._random.randrange(0, 90), self._random.randrange(0, 90)))
        bounds = [{"gt": low}, {"ge": low}, {"lt": high + 1}, {"le": high}, {"ge": low, "le": high}]
        stages = ["asOf", *(["diagnosis"] if diagnosis else []), *(["study"] if study else [])]
        return self._random.choice(bounds) | {"at": self._random.choice(stages)}

    def _collect(self) -> dict[str, Any]:
        collect: dict[str, Any] = {}
        if self._random.random() < 0.5:
            collect["studies"] = self._random.choice(["matching", "all"])
        if self._random.random() < 0.4:
            collect["reports"] = {}
            if self._random.random() < 0.4:
                collect["reports"]["status"] = self._some(ReportStatus.__value__.__args__, 1)
        if self._random.random() < 0.4:
            collect["medications"] = {}
            if self._random.random() < 0.4:
                collect["medications"]["when"] = self._when()
            if self._random.random() < 0.3:
                collect["medications"]["notStatus"] = self._some(MedicationStatus.__value__.__args__)
        if self._random.random() < 0.2:
            collect["conditions"] = "all"
        return collect
