"""The definition that the parts of a reading make, in the written form (COH-28), and its spans (NL-12). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shared.cohorts.definition.model import (
    DEFAULT_COLLECTED_NOT,
    DEFAULT_OF,
    DEFAULT_REPORT_STATUS,
)
from shared.cohorts.language.dictionary import Concept
from shared.cohorts.language.parts import (
    AgePart,
    DiagnosesPart,
    DiagnosisPart,
    DrugPart,
    DrugsPart,
    Event,
    Part,
    ReportPart,
    SexPart,
    StudyPart,
)
from shared.cohorts.language.reading import Reading

type Document = dict[str, Any]


@dataclass(slots=True)
class Assembled:
    """A definition, and the words of each member."""

    definition: Document
    paths: list[tuple[set[int], str]] = field(default_factory=list)


def assemble(reading: Reading, as_of: str | None) -> Assembled:
    """The definition of a reading. What contradicts itself or has no form is refused at the cursor."""
    return _Assembly(reading).run(as_of)


class _Assembly:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._refuse = reading.cursor.refuse
        self._paths: list[tuple[set[int], str]] = []
        self._whole = False

    def run(self, as_of: str | None) -> Assembled:
        definition: Document = {"version": 1}
        self._whole = self._whole_studies()
        stated = self._reading.as_of
        if stated is not None:
            self._paths.append((stated[1], "asOf"))
        if stated is not None or as_of is not None:
            definition["asOf"] = stated[0] if stated is not None else as_of
        if patient := self._patient():
            definition["patient"] = patient
        for name, entries in (
            ("conditions", self._entries(DiagnosisPart, "conditions")),
            ("medications", self._entries(DrugPart, "medications")),
        ):
            if entries:
                definition[name] = entries
        if imaging := self._imaging():
            definition["imaging"] = imaging
        if collect := self._collect():
            definition["collect"] = collect
        self._check(definition)
        return Assembled(definition, self._paths)

    def _parts[P: Part](self, kind: type[P]) -> list[P]:
        return [each for each in self._reading.parts if isinstance(each, kind)]

    # ------------------------------------------------------------------------------------------------------- patient

    def _patient(self) -> Document:
        patient: Document = {}
        if age := self._age():
            patient["age"] = age
        values = {each.value for each in self._parts(SexPart)}
        for each in self._parts(SexPart):
            self._paths.append((each.words, "patient.gender"))
        if len(values) == 1 and values != {"any"}:
            patient["gender"] = values.pop()
        elif "any" in values and len(values) > 1:
            self._refuse(set().union(*(each.words for each in self._parts(SexPart))), "notSupported")
        elif len(values) > 1 and (values != {"male", "female"} or self._apart()):
            self._refuse(set().union(*(each.words for each in self._parts(SexPart))), "alternative")
        return patient

    def _apart(self) -> bool:
        """Whether something is said of one sex before the other is named: `women with A and men with B`."""
        places = [each.start for each in self._parts(SexPart)]
        said = (AgePart, DiagnosisPart, DrugPart, StudyPart)
        return any(isinstance(each, said) and min(places) < each.start < max(places) for each in self._reading.parts)

    def _age(self) -> Document:
        lower = upper = None
        stages: set[str] = set()
        for part in self._parts(AgePart):
            if _clash(part.lower, lower) or _clash(part.upper, upper):
                self._refuse(part.words, "notSupported")
                continue
            lower, upper = part.lower or lower, part.upper or upper
            stages.add(part.at)
            self._paths.append((part.words, "patient.age"))
        if not stages:
            return {}
        if len(stages) > 1:
            stages.discard("asOf")
        if len(stages) > 1 or (lower and upper and _least(lower) > _most(upper)):
            for part in self._parts(AgePart):
                self._refuse(part.words, "notSupported")
            return {}
        return dict(each for each in (lower, upper) if each) | {"at": stages.pop()}

    # ------------------------------------------------------------------------------------------------------- entries

    def _entries(self, kind: type[DiagnosisPart | DrugPart], name: str) -> list[Document]:
        entries: list[Document] = []
        for part in self._parts(kind):
            if isinstance(part, DrugPart) and part.returned:
                self._refuse(part.words, "notSupported")
                continue
            path = f"{name}[{len(entries)}]" + (".not" if part.negated else "")
            entry: Document = {"code": _code(part.concepts)}
            if part.when:
                entry["when"] = dict(part.when)
            if isinstance(part, DiagnosisPart):
                self._diagnosis(part, entry)
            elif part.excluded is not None:
                entry["notStatus"] = list(part.excluded)
            self._span(part, path, "verification" if kind is DiagnosisPart else "notStatus")
            entries.append({"not": entry} if part.negated else entry)
        return entries

    def _diagnosis(self, part: DiagnosisPart, entry: Document) -> None:
        if part.when:
            entry["when"]["of"] = list(part.kinds or DEFAULT_OF)
        elif part.kind_words:
            self._refuse(part.kind_words, "notSupported")
        if part.excluded is not None:
            entry["verification"] = {"not": list(part.excluded)}

    def _span(self, part: Event, path: str, status: str) -> None:
        own = part.words - part.when_words - part.status_words
        self._paths.append((own, f"{path}.code" if isinstance(part, DiagnosisPart | DrugPart) else path))
        if part.when_words:
            self._paths.append((part.when_words, f"{path}.when"))
        if part.status_words:
            self._paths.append((part.status_words, f"{path}.{status}"))

    # ------------------------------------------------------------------------------------------------------- imaging

    def _imaging(self) -> Document:
        studies = [each for each in self._parts(StudyPart) if not each.reference]
        positive = self._merged([each for each in studies if not each.negated], "imaging")
        negative = self._merged([each for each in studies if each.negated], "imaging.not")
        imaging: Document = {}
        if positive is not None:
            imaging = {"required": all(each.required for each in studies if not each.negated)} | _study(positive)
        if negative is not None:
            if not (inner := _study(negative)):
                words = [each for each in negative.words if self._reading.cursor.has(each, "not", "neither")]
                self._refuse(words or negative.words, "negation")
                return imaging
            if positive is None:
                imaging = {"required": False}
            imaging["not"] = inner
        return imaging

    def _merged(self, studies: list[StudyPart], path: str) -> StudyPart | None:
        """Several mentions of imaging as one, where they agree or one only says less."""
        merged: StudyPart | None = None
        for each in studies:
            self._span(each, path, "status")
            if merged is None:
                merged = each
                continue
            if not self._agree(merged, each, negated=path.endswith("not")):
                return merged
            merged.modalities = merged.modalities or each.modalities
            merged.sites = merged.sites or each.sites
            merged.when = merged.when or each.when
        return merged

    def _agree(self, first: StudyPart, other: StudyPart, *, negated: bool) -> bool:
        cursor = self._reading.cursor
        if first.modalities and other.modalities and set(first.modalities) != set(other.modalities):
            simple = not (first.sites or other.sites or first.when or other.when)
            if negated and simple:
                first.modalities = [*first.modalities, *(m for m in other.modalities if m not in first.modalities)]
                return True
            words = [each for each in other.words if cursor.has(each, "modality")]
            if not cursor.refused.keys() & set(range(first.start, max(other.words))):
                self._refuse(words, "notSupported")
            return False
        sites, others = [each.codes for each in first.sites], [each.codes for each in other.sites]
        if (sites and others and sites != others) or (first.when and other.when and first.when != other.when):
            self._refuse(other.words | other.when_words, "notSupported")
            return False
        if negated and (bool(first.modalities) != bool(other.modalities) or bool(sites) != bool(others)):
            self._refuse(other.words, "notSupported")
            return False
        return True

    # ------------------------------------------------------------------------------------------------------- collect

    def _collect(self) -> Document:
        collect: Document = {}
        reports, drugs = self._parts(ReportPart), self._parts(DrugsPart)
        studies = [each for each in self._parts(StudyPart) if not each.negated]
        listed = bool(reports or drugs)
        for each in studies:
            each.collected = each.collected or (each.with_item and listed and self._in_list(each))
        collected = [each for each in studies if each.collected]
        if collected:
            whole = self._whole or any(each.whole for each in collected)
            collect["studies"] = "all" if whole else "matching"
            for each in collected:
                if each.reference:
                    self._paths.append((each.words, "collect.studies"))
        if reports:
            status = next((each.status for each in reports if each.status is not None), list(DEFAULT_REPORT_STATUS))
            collect["reports"] = {"linkedTo": "studies", "status": status}
            for part in reports:
                self._span(part, "collect.reports", "status")
        if drugs:
            self._drugs(drugs, collect)
        if self._parts(DiagnosesPart):
            collect["conditions"] = "all"
            self._paths += [(each.words, "collect.conditions") for each in self._parts(DiagnosesPart)]
        return collect

    def _whole_studies(self) -> bool:
        """`all images of patients with a CT`: all that match, or all of each patient (NL-5)."""
        studies = [each for each in self._parts(StudyPart) if not each.reference and not each.negated]
        narrow = [each for each in studies if each.modalities or each.sites or each.when]
        wide = [each for each in studies if each not in narrow and each.collected and self._says_every(each)]
        return bool(wide and narrow and self._reading.choices.choose(2))

    def _says_every(self, study: StudyPart) -> bool:
        cursor, at = self._reading.cursor, study.start - 1
        while cursor.little(at) and not cursor.has(at, "every"):
            at -= 1
        return cursor.has(at, "every")

    def _in_list(self, study: StudyPart) -> bool:
        """Whether `and reports`, `and medications` follows the study directly."""
        cursor = self._reading.cursor
        at = max(study.words) + 1
        joined = False
        while cursor.little(at) or cursor.has(
            at, "and", "comma", "along", "with", "possessive", "status", "study_noun"
        ):
            joined = joined or cursor.has(at, "and", "comma", "along", "with")
            at += 1
        if not joined:
            return False
        followers = [each for each in self._reading.parts if at in each.words]
        return any(isinstance(each, ReportPart | DrugsPart) for each in followers)

    def _drugs(self, drugs: list[DrugsPart], collect: Document) -> None:
        windows = [each.when for each in drugs if each.when]
        excluded = [each.excluded for each in drugs if each.excluded is not None]
        if any(each != windows[0] for each in windows):
            self._refuse(drugs[-1].when_words, "notSupported")
        collect["medications"] = {
            "when": dict(windows[0]) if windows else "any",
            "notStatus": list(excluded[0]) if excluded else list(DEFAULT_COLLECTED_NOT),
        }
        for part in drugs:
            self._span(part, "collect.medications", "notStatus")

    # --------------------------------------------------------------------------------------------------------- check

    def _check(self, definition: Document) -> None:
        """Refuse parts that need another member that is not there (COH-17)."""
        imaging = definition.get("imaging", {})
        required = sum("not" not in each for each in definition.get("conditions", ()))
        stage = definition.get("patient", {}).get("age", {}).get("at")
        if (stage == "diagnosis" and required != 1) or (stage == "study" and not imaging.get("required")):
            for part in self._parts(AgePart):
                if part.at != "asOf":
                    self._refuse(part.words, "notSupported")
            definition["patient"].pop("age")
        for holder in (imaging, imaging.get("not", {})):
            if "after" in holder.get("when", {}) and required != 1:
                for study in self._parts(StudyPart):
                    self._refuse(study.when_words, "notSupported")
                holder.pop("when")


def _clash(one: tuple[str, int] | None, other: tuple[str, int] | None) -> bool:
    return one is not None and other is not None and one != other


def _least(bound: tuple[str, int]) -> int:
    return bound[1] + 1 if bound[0] == "gt" else bound[1]


def _most(bound: tuple[str, int]) -> int:
    return bound[1] - 1 if bound[0] == "lt" else bound[1]


def _code(concepts: Iterable[Concept]) -> Document:
    concepts = list(concepts)
    sets = list(dict.fromkeys(each.value_set for each in concepts if each.value_set))
    codes = sorted({code for each in concepts for code in each.codes})
    form: Document = {}
    if sets:
        form["valueSet"] = sets[0] if len(sets) == 1 else sets
    if codes:
        form["codes"] = [{"system": system, "code": code} for system, code in codes]
    return form


def _study(part: StudyPart) -> Document:
    form: Document = {}
    if part.modalities:
        form["modality"] = list(dict.fromkeys(part.modalities))
    if part.sites:
        form["bodySite"] = _code(part.sites)
    if part.when:
        form["when"] = dict(part.when)
    return form
