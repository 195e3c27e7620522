"""The records of a group of patients, with what a definition needs of them (cohorts §8.3)."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.cohorts.evaluation.medications import Drugs
from shared.cohorts.evaluation.patients import Evaluation, Record
from shared.cohorts.gathering.reader import Reader
from shared.fhir.resources import Resource, referenced


class Needs:
    """Which kinds of resources a definition needs of each candidate."""

    def __init__(self, form: Mapping[str, Any], evaluation: Evaluation) -> None:
        collect = form["collect"]
        imaging = form["imaging"]
        any_imaging = imaging["required"] or "not" in imaging
        self.conditions = bool(evaluation.conditions) or collect["conditions"] == "all"
        self.medications = bool(evaluation.medications) or "medications" in collect
        self.studies = any_imaging or "studies" in collect or "reports" in collect

    def kinds(self) -> list[str]:
        """Resource types, in the order in which they are read."""
        wanted = (
            ("Condition", self.conditions),
            ("MedicationRequest", self.medications),
            ("ImagingStudy", self.studies),
        )
        return [kind for kind, needed in wanted if needed]


async def records(ids: Sequence[str], needs: Needs, reader: Reader) -> list[Record]:
    """The records of patients, in the order of their ids; a patient that is not there is left out."""
    patients = await reader.patients(ids)
    there = [each for each in ids if each in patients]
    of: dict[str, Mapping[str, Sequence[Resource]]] = {
        kind: await reader.of_patients(kind, there, reader.base) for kind in needs.kinds()
    }
    requests = of.get("MedicationRequest", {})
    references = {
        referenced(request.get("medicationReference"), reader.base) for each in requests.values() for request in each
    }
    drugs = Drugs(reader.base, await reader.by_reference(sorted(references - {""})))
    return [
        Record(
            patients[each],
            of.get("Condition", {}).get(each, ()),
            requests.get(each, ()),
            of.get("ImagingStudy", {}).get(each, ()),
            drugs,
        )
        for each in there
    ]
