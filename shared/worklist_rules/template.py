"""PS3.4 §CC.2.5 The workitem that a rule makes for a study: its template, filled with what is stored. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.dicom.attributes import Attributes
from shared.dicom.dictionary import tag_of, vr_of
from shared.dicom.elements import values
from shared.errors import InvalidRequest
from shared.workitems import searchable
from shared.workitems.attribute_table import requirements
from shared.workitems.creation import check_creation
from shared.workitems.requirements import InvalidWorkitem, is_empty
from shared.workitems.rows import postings
from shared.workitems.workitem import (
    INPUT_READINESS_STATE,
    MODIFIED,
    PERFORMED_PROCEDURES,
    PROCEDURE_STEP_STATE,
    PROGRESS,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    TRANSACTION_UID,
    Workitem,
    created,
    date_time,
)

MOST_REFERENCES: Final = 2_000
"""Instances that the input information of a workitem names."""
_STUDY_INSTANCE_UID: Final = "0020000D"
_SERIES_INSTANCE_UID: Final = "0020000E"
_PRIORITY: Final = "00741200"
_LABEL: Final = "00741204"
_START: Final = "00404005"
_INPUT: Final = "00404021"
_REQUESTS: Final = "0040A370"
_ACCESSION_NUMBER: Final = "00080050"
_REQUESTED_PROCEDURE: Final = ("00401001", "00321060")
_LABEL_LENGTH: Final = 64
"""Characters of a value of VR LO (PS3.5 §6.2)."""

_OF_THE_STUDY: Final = tuple(
    f"{tag_of(keyword):08X}"
    for keyword in (
        "PatientName",
        "PatientID",
        "IssuerOfPatientID",
        "PatientBirthDate",
        "PatientSex",
        "AdmissionID",
        "AdmittingDiagnosesDescription",
    )
)
"""Attributes that workitems have from the study: values, which any data set may have; not sequences, whose items would
have to be complete.
"""
_OF_THE_SERVICE: Final = frozenset(
    {
        TRANSACTION_UID,
        SOP_CLASS_UID,
        SOP_INSTANCE_UID,
        MODIFIED,
        PROCEDURE_STEP_STATE,
        PROGRESS,
        PERFORMED_PROCEDURES,
        _START,
        _INPUT,
        _REQUESTS,
        _STUDY_INSTANCE_UID,
        *_OF_THE_STUDY,
    }
)
"""Attributes that a template must not have: they are different in each workitem."""


@dataclass(frozen=True, slots=True)
class InputSeries:
    """A series that a workitem is about."""

    series_instance_uid: str
    instances: Sequence[tuple[str, str]] = field(repr=False)
    """SOP class and SOP instance UIDs: at least one."""


@dataclass(frozen=True, slots=True)
class InputStudy:
    """The subject of a workitem."""

    uid: str
    series: Sequence[InputSeries]
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """A data set of the study."""


def check_template(template: Attributes, name: str) -> None:
    """Refuse a template that makes no workitem. Raises InvalidRequest, TooLarge."""
    for tag in sorted(template.keys() & _OF_THE_SERVICE):
        raise InvalidRequest(
            f"The template has the attribute {tag}, which each workitem gets from the service.",
            where="request body",
            remedy="Leave it out.",
        )
    study = InputStudy("1.2.3", [InputSeries("1.2.3.4", [("1.2.3.5", "1.2.3.6")])])
    example = new_workitem(template, name, study, 0.0)
    try:
        attributes = created(example, "1.2.3.7", 0.0)
        check_creation(attributes)
    except InvalidWorkitem as error:
        raise InvalidRequest(f"The template makes no workitem: {error}", where="request body") from error
    postings(Workitem("1.2.3.7", attributes, sort_key="0"))


def new_workitem(template: Attributes, name: str, study: InputStudy, now: float) -> Attributes:
    """The attributes of a workitem of a study, as a client would send them to create it.

    `name`: of the rule, which is the label of a workitem without one; `now`: seconds since 1970.
    """
    metadata = study.metadata
    attributes: Attributes = {
        row.tag: {"vr": vr_of(int(row.tag, 16)) or "UN"}
        for row in requirements()
        if row.create.startswith("2/") or row.create == "empty"
    }
    attributes |= {
        _PRIORITY: _element("CS", "MEDIUM"),
        _LABEL: _element("LO", name[:_LABEL_LENGTH]),
        INPUT_READINESS_STATE: _element("CS", "READY"),
        _START: _element("DT", date_time(now)),
    }
    attributes |= template
    attributes |= {tag: metadata[tag] for tag in _OF_THE_STUDY if _is_usable(metadata, tag)}
    attributes |= {
        _STUDY_INSTANCE_UID: _element("UI", study.uid),
        _INPUT: _sequence([_input(study.uid, each) for each in study.series]),
    }
    if _is_usable(metadata, _ACCESSION_NUMBER):
        attributes[_REQUESTS] = _sequence([_request(study.uid, metadata)])
    return dict(sorted(attributes.items()))


def _input(study: str, series: InputSeries) -> dict[str, Any]:
    """PS3.3 Table 10-3b Referenced Instances and Access Macro."""
    references = [
        {"00081150": _element("UI", sop_class), "00081155": _element("UI", sop_instance)}
        for sop_class, sop_instance in series.instances
    ]
    return {
        "00081199": _sequence(references),
        _STUDY_INSTANCE_UID: _element("UI", study),
        _SERIES_INSTANCE_UID: _element("UI", series.series_instance_uid),
        "0040E020": _element("CS", "DICOM"),
    }


def _request(study: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    request = {
        _ACCESSION_NUMBER: metadata[_ACCESSION_NUMBER],
        "00080051": {"vr": "SQ"},
        _STUDY_INSTANCE_UID: _element("UI", study),
        "00321060": {"vr": "LO"},
        "00321064": {"vr": "SQ"},
        "00400026": {"vr": "SQ"},
        "00400027": {"vr": "SQ"},
        "00401001": {"vr": "SH"},
    }
    return {**request, **{tag: metadata[tag] for tag in _REQUESTED_PROCEDURE if _is_usable(metadata, tag)}}


def _is_usable(metadata: Mapping[str, Any], tag: str) -> bool:
    """Whether a value can stand in a workitem: there is one, and searches can match it."""
    if is_empty(metadata, tag) or not values(metadata, tag):
        return False
    try:
        searchable.check({tag: metadata[tag]})
    except InvalidWorkitem:
        return False
    return True


def _element(vr: str, value: str) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}


def _sequence(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(items)}
