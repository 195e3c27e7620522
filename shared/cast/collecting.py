"""CAST-RD-1, CAST-RD-2 The metadata of a study's instances, one after the other, as a `Study`. Pure.

Of an instance stay its identity and the Observations that it asks for; of study and series one value of each mapped
attribute. What a search does not tell comes from the instance with the smallest SOP Instance UID that has it, so that
the order in which instances arrive does not matter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from shared.cast.mapping.malformed import malformed_values
from shared.cast.mapping.measurements import measurement_observations, observing_device
from shared.cast.mapping.observation import dose_observations, may_hold_dose
from shared.cast.model import DoseReport, Instance, Note, RefusedInstance, Series, Study, Summary
from shared.cast.settings import CastSettings
from shared.cast.values import DataSet, item, says, text, text_of, texts, unsigned, values
from shared.dicom.identifiers import is_uid

STUDY_TAGS = (
    "00080020",
    "00080030",
    "00080050",
    "00080051",
    "00080080",
    "00080090",
    "00080096",
    "00080201",
    "00081030",
    "00081032",
    "00081040",
    "00081060",
    "00100010",
    "00100020",
    "00100021",
    "00100024",
    "00100030",
    "00100040",
    "00101002",
    "00321064",
    "00400275",
    "00401012",
)
"""Mapped attributes of the study level."""
SERIES_TAGS = (
    "00080021",
    "00080031",
    "00080060",
    "00080201",
    "0008103E",
    "00081050",
    "00081070",
    "00082218",
    "00180015",
    "00200011",
    "00200060",
    "00200062",
    "00400244",
    "00400245",
)
"""The same of the series level."""
_SEVERAL = frozenset({"00081050", "00081060", "00081070"})
"""Attributes that may have several values."""
_SINGLE = frozenset((*STUDY_TAGS, *SERIES_TAGS, "00200013")) - _SEVERAL
"""Attributes of which one value is expected; items of sequences are no texts."""
_KEY_OBJECT_OR_REPORT = "0040A043"


@dataclass(slots=True)
class _Level:
    """Attributes of a study or a series, each from the instance with the smallest UID that has it."""

    found: dict[str, tuple[str, Any]] = field(default_factory=dict)

    def add(self, uid: str, data_set: DataSet, tags: tuple[str, ...]) -> None:
        for tag in tags:
            before = self.found.get(tag)
            if (before is None or uid < before[0]) and says(data_set.get(tag)):
                self.found[tag] = uid, data_set[tag]

    def attributes(self, told: DataSet) -> dict[str, Any]:
        """With what a search tells in the place of what instances say, as far as it tells."""
        return {**{tag: element for tag, (_, element) in self.found.items()}, **told}


class StudyCollector:
    """Takes the instances of one study."""

    def __init__(self, study: str, settings: CastSettings) -> None:
        self._study = study
        self._settings = settings
        self._level = _Level()
        self._series: dict[str, tuple[_Level, dict[str, Instance]]] = {}
        self._reports: list[DoseReport] = []
        self._notes: set[Note] = set()
        self._refused: list[RefusedInstance] = []
        self._patients: set[str] = set()
        self._malformed: set[str] = set()

    def add(self, data_set: Any) -> None:
        """Take one instance. What cannot be interpreted is noted and left out (dicomcast §5.1)."""
        if not isinstance(data_set, Mapping):
            self._notes.add(Note("", "unreadable-instance"))
            return
        series, instance = text(data_set, "0020000E"), text(data_set, "00080018")
        fault = self._required(data_set, series, instance)
        sop_class = text(data_set, "00080016")
        report = self._settings.observations and may_hold_dose(sop_class, data_set)
        faults = malformed_values(data_set, self._settings, report=report) if not fault else set()
        if not fault and faults and self._settings.enforces_validation:
            fault = min(faults)
        if fault:
            self._refused.append(RefusedInstance(series, instance, fault, "missing or malformed"))
            return
        self._notes |= {Note(tag, "malformed") for tag in faults}
        several = [tag for tag in _SINGLE & data_set.keys() if len(values(data_set, tag)) > 1]
        self._notes |= {Note(tag, "several-values") for tag in several if len(texts(data_set, tag)) > 1}
        self._patients.add(text(data_set, "00100020"))
        self._level.add(instance, data_set, STUDY_TAGS)
        level, instances = self._series.setdefault(series, (_Level(), {}))
        level.add(instance, data_set, SERIES_TAGS)
        number = unsigned(text(data_set, "00200013"))
        instances[instance] = Instance(instance, intern(sop_class), number, intern(_title(data_set)))
        if report:
            measured = measurement_observations(data_set, self._settings)
            found = [*dose_observations(data_set, self._settings), *measured]
            if found:
                device = observing_device(data_set, self._settings) if measured else {}
                self._reports.append(DoseReport(instance, found, device))

    def add_unreadable(self) -> None:
        """Note an instance whose metadata are no JSON."""
        self._notes.add(Note("", "unreadable-instance"))

    def study(self, summary: Summary) -> Study:
        """The study, with what a search told of it."""
        told = {tag: summary.study[tag] for tag in STUDY_TAGS if says(summary.study.get(tag))}
        if len(self._patients) > 1:
            self._notes.add(Note("00100020", "instances-differ"))
        series = []
        for uid, (level, instances) in self._series.items():
            of_series = summary.series.get(uid, {})
            attributes = level.attributes({tag: of_series[tag] for tag in SERIES_TAGS if says(of_series.get(tag))})
            if not text(attributes, "00080060"):
                self._notes.add(Note("00080060", "missing"))
            series.append(Series(uid, attributes, sorted(instances.values(), key=_order)))
        series.sort(key=lambda each: (_number(unsigned(text(each.attributes, "00200011"))), each.uid))
        attributes = self._level.attributes(told)
        if self._refused and self._settings.enforces_validation:
            # What a refused instance said counts no more.
            bad = malformed_values(attributes, self._settings, report=False)
            attributes = {tag: each for tag, each in attributes.items() if tag not in bad}
        reports = sorted(self._reports, key=lambda each: each.sop_instance_uid)
        return Study(self._study, attributes, series, reports, frozenset(self._notes), self._refused)

    def _required(self, data_set: DataSet, series: str, instance: str) -> str:
        """The tag of what an instance must have and does not; empty if it has all."""
        if text(data_set, "0020000D") != self._study:
            return "0020000D"
        checked = {"0020000E": series, "00080018": instance, "00080016": text(data_set, "00080016")}
        for tag, uid in checked.items():
            if not is_uid(uid):
                return tag
        if self._settings.patient_id_missing == "park" and not text(data_set, "00100020"):
            return "00100020"
        if self._settings.enforces_validation and not text(data_set, "00080060"):
            return "00080060"
        return ""


def _title(data_set: DataSet) -> str:
    """The name of an instance: of a document, of a report or key objects, of an image (dicomcast §4.6)."""
    named = text(data_set, "00420010") or text(item(data_set, _KEY_OBJECT_OR_REPORT), "00080104")
    kinds = values(data_set, "00080008")
    return named or (text_of(kinds[2]) if len(kinds) > 2 else "")


def _number(number: int | None) -> int:
    return -1 if number is None else number


def _order(instance: Instance) -> tuple[int, str]:
    return _number(instance.number), instance.uid
