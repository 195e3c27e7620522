"""PS3.4 Table CC.2.5-3 The attributes of a workitem: what creation, updates and final states ask of each. Pure.

The columns are the keyword, behind a `>` for each sequence that it lies in; the types of the standard (SCU/SCP) on
creation and on update; what a final state needs; `ret` if searches return it by themselves; and the macro that its
items are made of. What a type means is said in `requirements`. Besides the standard's types there are:

| `server` | filled in by this service, whatever the client sends |
| `void` | may be present, without a value |
| `empty` | must be present, without a value |
| `NA` | must be absent |
| `-` | not looked at |
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

from shared.dicom.dictionary import tag_of


@dataclass(frozen=True, slots=True)
class AttributeRequirement:
    """A row of the table."""

    tag: str
    """8 upper-case hex digits."""
    create: str
    update: str
    final: str
    """`R`: a value in both final states; `P`: in COMPLETED; `P2`: present in COMPLETED; `X`: a value in CANCELED."""
    returned: bool
    items: tuple["AttributeRequirement", ...] = ()
    """Of the items of a sequence."""


_MACROS: Final = {
    "code": """
CodeValue                                     3/1     3/1
LongCodeValue                                 3/1     3/1
URNCodeValue                                  3/1     3/1
CodingSchemeDesignator                        3/1     3/1
CodingSchemeVersion                           3/1     3/1
CodeMeaning                                   1/1     1/1
""",
    "content": """
ValueType                                     1/1     1/1
ConceptNameCodeSequence                       1/1     1/1     . . code
DateTime                                      3/1     3/1
Date                                          3/1     3/1
Time                                          3/1     3/1
PersonName                                    3/1     3/1
UID                                           3/1     3/1
TextValue                                     3/1     3/1
ConceptCodeSequence                           3/1     3/1     . . code
NumericValue                                  3/1     3/1
MeasurementUnitsCodeSequence                  3/1     3/1     . . code
ReferencedSOPSequence                         3/1     3/1     . . sop
""",
    "sop": """
ReferencedSOPClassUID                         1/1     1/1
ReferencedSOPInstanceUID                      1/1     1/1
""",
    "instances": """
TypeOfInstances                               1/1     1/1
StudyInstanceUID                              3/1     3/1
SeriesInstanceUID                             3/1     3/1
ReferencedSOPSequence                         1/1     1/1     . . sop
DICOMRetrievalSequence                        3/3     3/3
> RetrieveAETitle                             1/1     1/1
DICOMMediaRetrievalSequence                   3/3     3/3
> StorageMediaFileSetID                       2/2     2/2
> StorageMediaFileSetUID                      1/1     1/1
WADORetrievalSequence                         3/3     3/3
> RetrieveURI                                 1/1     1/1
XDSRetrievalSequence                          3/3     3/3
> RepositoryUniqueID                          1/1     1/1
WADORSRetrievalSequence                       3/3     3/3
> RetrieveURL                                 1/1     1/1
""",
    "designator": """
LocalNamespaceEntityID                        3/1     3/1
UniversalEntityID                             3/1     3/1
UniversalEntityIDType                         3/1     3/1
""",
    "qualifiers": """
UniversalEntityID                             2/2     2/2
UniversalEntityIDType                         3/1     3/1
IdentifierTypeCode                            2/2     2/2
AssigningFacilitySequence                     2/2     2/2     . . designator
AssigningJurisdictionCodeSequence             2/2     2/2     . . code
AssigningAgencyOrDepartmentCodeSequence       2/2     2/2     . . code
""",
    "performer": """
HumanPerformerCodeSequence                    1/1     1/1     . . code
HumanPerformerName                            1/1     1/1
HumanPerformerOrganization                    1/1     1/1
""",
    "actual_performer": """
HumanPerformerCodeSequence                    3/1     3/1     . . code
HumanPerformerName                            3/1     3/1
HumanPerformerOrganization                    3/1     3/1
""",
}

_WORKITEM: Final = """
TransactionUID                                void    -       .  .
SpecificCharacterSet                          1C/1C   1C/1C   .  ret
SOPClassUID                                   server  NA      R  ret
SOPInstanceUID                                server  NA      R  ret
ScheduledProcedureStepPriority                1/1     3/1     R  ret
ScheduledProcedureStepModificationDateTime    server  server  R  .
ProcedureStepLabel                            1/1     3/1     .  ret
WorklistLabel                                 2/1     3/1     .  ret
ScheduledProcessingParametersSequence         2/2     3/2     .  ret  content
ScheduledStationNameCodeSequence              2/2     3/2     .  ret  code
ScheduledStationClassCodeSequence             2/2     3/2     .  ret  code
ScheduledStationGeographicLocationCodeSequence 2/2    3/2     .  ret  code
ScheduledHumanPerformersSequence              2C/2C   3/2     .  ret  performer
ScheduledProcedureStepStartDateTime           1/1     3/1     R  ret
ExpectedCompletionDateTime                    3/1     3/1     .  .
ScheduledProcedureStepExpirationDateTime      3/3     3/3     .  .
ScheduledWorkitemCodeSequence                 2/2     3/1     .  ret  code
CommentsOnTheScheduledProcedureStep           2/2     3/1     .  .
InputReadinessState                           1/1     3/1     R  ret
InputInformationSequence                      2/2     3/2     .  ret  instances
StudyInstanceUID                              1C/2    3/2     .  ret
OutputDestinationSequence                     3/3     3/3     .  .
> DICOMStorageSequence                        3/3     3/3
>> DestinationAE                              1/1     1/1
> STOWRSStorageSequence                       3/3     3/3
>> StorageURL                                 1/1     1/1
> XDSStorageSequence                          3/3     3/3
>> RepositoryUniqueID                         1/1     1/1
PatientName                                   2/2     NA      .  ret
PatientID                                     1C/2    NA      .  ret
IssuerOfPatientID                             2/2     NA      .  ret
IssuerOfPatientIDQualifiersSequence           2/2     NA      .  ret  qualifiers
OtherPatientIDsSequence                       2/2     3/3     .  ret
> PatientID                                   1/1     1/1
> IssuerOfPatientID                           2/2     3/3
> IssuerOfPatientIDQualifiersSequence         2/2     3/3     .  .    qualifiers
> TypeOfPatientID                             3/3     3/3
PatientBirthDate                              2/2     NA      .  ret
PatientSex                                    2/2     NA      .  ret
ReferencedPatientPhotoSequence                3/3     3/3     .  .    instances
AdmissionID                                   2/2     NA      .  ret
IssuerOfAdmissionIDSequence                   2/2     NA      .  ret  designator
AdmittingDiagnosesDescription                 2/2     NA      .  ret
AdmittingDiagnosesCodeSequence                2/2     NA      .  ret  code
ReferencedRequestSequence                     2/2     NA      .  ret
> StudyInstanceUID                            1/1     1/1
> AccessionNumber                             2/2     2/2
> IssuerOfAccessionNumberSequence             2/2     2/2     .  .    designator
> PlacerOrderNumberImagingServiceRequest      3/1     3/1
> OrderPlacerIdentifierSequence               2/2     2/2     .  .    designator
> FillerOrderNumberImagingServiceRequest      3/1     3/1
> OrderFillerIdentifierSequence               2/2     2/2     .  .    designator
> RequestedProcedureID                        2/2     2/2
> RequestedProcedureDescription               2/2     2/2
> RequestedProcedureCodeSequence              2/2     2/2     .  .    code
> RequestingService                           3/1     3/1
ReplacedProcedureStepSequence                 1C/1C   NA      .  .    sop
MedicalAlerts                                 3/2     3/2     .  ret
PregnancyStatus                               3/2     3/2     .  ret
SpecialNeeds                                  3/2     3/2     .  ret
ProcedureStepState                            server  NA      R  ret
ProcedureStepProgressInformationSequence      empty   3/2     X  ret
> ProcedureStepProgress                       NA      3/1
> ProcedureStepProgressDescription            NA      3/1
> ProcedureStepProgressParametersSequence     NA      3/3     .  .    content
> ProcedureStepCommunicationsURISequence      NA      3/1
>> ContactURI                                 NA      1/1
>> ContactDisplayName                         NA      3/1
> ProcedureStepCancellationDateTime           NA      3/1     X
> ReasonForCancellation                       NA      3/1
> ProcedureStepDiscontinuationReasonCodeSequence NA   3/1     X  .    code
UnifiedProcedureStepPerformedProcedureSequence empty  3/2     P  .
> ActualHumanPerformersSequence               NA      3/1     .  .    actual_performer
> PerformedStationNameCodeSequence            NA      3/2     P  .    code
> PerformedStationClassCodeSequence           NA      3/2     .  .    code
> PerformedStationGeographicLocationCodeSequence NA   3/2     .  .    code
> PerformedProcedureStepStartDateTime         NA      3/1     P
> PerformedProcedureStepDescription           NA      3/1
> CommentsOnThePerformedProcedureStep         NA      3/1
> PerformedWorkitemCodeSequence               NA      3/1     P  .    code
> PerformedProcessingParametersSequence       NA      3/1     .  .    content
> PerformedProcedureStepEndDateTime           NA      3/1     P
> OutputInformationSequence                   NA      2/2     P2 .    instances
"""


@cache
def requirements() -> tuple[AttributeRequirement, ...]:
    """The attributes of the top level, in the order in which they are checked."""
    return _parsed(_WORKITEM)


@cache
def returned() -> frozenset[str]:
    """The tags that a search returns of its own accord (WQ-4)."""
    return frozenset(each.tag for each in requirements() if each.returned)


@cache
def _parsed(text: str) -> tuple[AttributeRequirement, ...]:
    return _level([line.split() for line in text.strip().splitlines()], 0)


def _level(rows: list[list[str]], depth: int) -> tuple[AttributeRequirement, ...]:
    found: list[AttributeRequirement] = []
    at = 0
    while at < len(rows):
        end = at + 1
        while end < len(rows) and _depth(rows[end]) > depth:
            end += 1
        found.append(_requirement(rows[at][bool(depth) :], _level(rows[at + 1 : end], depth + 1)))
        at = end
    return tuple(found)


def _depth(row: list[str]) -> int:
    return len(row[0]) if row[0].startswith(">") else 0


def _requirement(cells: list[str], items: tuple[AttributeRequirement, ...]) -> AttributeRequirement:
    keyword, create, update, final, shown, macro = (*cells, ".", ".", ".")[:6]
    tag = tag_of(keyword)
    if tag is None:
        raise LookupError(keyword)
    below = items or (_parsed(_MACROS[macro]) if macro in _MACROS else ())
    return AttributeRequirement(f"{tag:08X}", create, update, final, shown == "ret", below)
