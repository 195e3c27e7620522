"""Validation of a readable instance, and what is left out of its metadata and index (dicomweb §6.2 to §6.5).

Pure. The versions differ in what is checked and in what a fault costs, not in how a value is judged: that is
`shared.dicom.validation`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared import metrics
from shared.dicom import validation
from shared.dicom.attributes import Attributes, remove
from shared.dicom.dictionary import keyword_of, vm_of
from shared.dicom.elements import enclosing, first, first_text, values
from shared.dicom.identifiers import InstanceIdentifier, trim_uid
from shared.dicom.part10.file_reader import Part10, Violation
from shared.dicom.part10.limits import TOO_LARGE
from shared.dicom.reasons import WarningReason
from shared.dicomweb.json_model import DocumentTooLarge, dumps, dumps_in_slices
from shared.dicomweb.versions import ApiVersion
from shared.index.model import NewInstance
from shared.index_schema.attribute_extraction import located
from shared.index_schema.indexed_attributes import IndexedValues
from shared.index_schema.schema import IndexSchema, Taken

_STUDY: Final = 0x0020000D
_SERIES: Final = 0x0020000E
_SOP_INSTANCE: Final = 0x00080018
_SOP_CLASS: Final = 0x00080016
_PATIENT_ID: Final = 0x00100020

_IDENTIFIERS: Final = (_STUDY, _SERIES, _SOP_INSTANCE)
"""Never left out (VAL-6)."""

REQUIRED: Final = (*_IDENTIFIERS, _SOP_CLASS, _PATIENT_ID)
"""The attributes that an instance must have (dicomweb §6.2)."""

SEARCHABLE: Final = (
    *(_STUDY, 0x00080020, 0x00081030, 0x00080050, _PATIENT_ID, 0x00100010, 0x00100030, 0x00080090, 0x00080061),
    *(_SERIES, 0x00080060, 0x00400244, 0x00081090, _SOP_INSTANCE),
)
"""The attributes that v1 judges (VAL-1)."""

KEPT_TEXT: Final = frozenset((*REQUIRED, *SEARCHABLE))
"""The elements whose text is judged as it stands in the file, padding included."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """An instance that fails with VALIDATION_FAILURE. The UIDs are as stored, even when they are what is wrong."""

    sop_class_uid: str | None
    sop_instance_uid: str | None
    comments: tuple[str, ...]
    """One ErrorComment per attribute, errors before warnings (STOW-36)."""


@dataclass(frozen=True, slots=True)
class Valid:
    """An instance that may be stored."""

    identifier: InstanceIdentifier
    sop_class_uid: str
    warning: WarningReason | None
    comments: tuple[str, ...]
    """One ErrorComment per attribute that was left out or is suspicious (STOW-36)."""
    several_values: bool
    """An attribute that has one value by the dictionary has more; the response says so in a header (VAL-8)."""
    metadata: Attributes
    """The data set without what is left out (VAL-6)."""
    study: IndexedValues
    series: IndexedValues
    instance: IndexedValues
    schema: int
    """The number of the schema that the three were taken by."""

    def new_instance(
        self,
        part10: Part10,
        *,
        metadata: bytes | None,
        blob: str,
        length: int,
        replace: bool,
        expires: datetime | None,
        upload_id: str = "",
    ) -> NewInstance:
        """The entry for the index, of the instance whose file is `blob`."""
        return NewInstance(
            self.identifier,
            self.sop_class_uid,
            part10.transfer_syntax_uid,
            blob,
            length,
            replace,
            self.study,
            self.series,
            self.instance,
            metadata,
            part10.frames,
            expires,
            schema=self.schema,
            upload_id=upload_id,
        )


def needs_strict_reading(version: ApiVersion, *, full_item_validation: bool) -> bool:
    """Whether `validate` looks at the violations of the strict checker (VAL-3, VAL-12)."""
    return version.checks_strictly or full_item_validation


def validate(
    part10: Part10,
    *,
    version: ApiVersion,
    schema: IndexSchema,
    study: str | None = None,
    full_item_validation: bool = False,
) -> Valid | Invalid:
    """Judge an instance. `study` is the StudyInstanceUID of the request's path, `schema` that of the index.

    What is left out is taken away from `part10.attributes`, which become the metadata.
    """
    attributes = part10.attributes
    several = _with_several_values(attributes, REQUIRED if version.warns_of_required_attributes_only else SEARCHABLE)
    violations = [
        violation
        for violation in part10.violations
        if full_item_validation or not _is_announced_in_header(violation, several, part10)
    ]

    errors = _missing(part10, may_be_blank=(_PATIENT_ID,) if version.accepts_empty_patient_id else ())
    if study is not None and _STUDY not in errors and not _is_study(attributes, study):
        errors[_STUDY] = "StudyInstanceUID is not the one that the request names"
    for tag in REQUIRED if version.checks_strictly else SEARCHABLE:
        if tag not in errors and (explanation := _minimum_error(part10, tag, trim_nul=version.accepts_nul_padding)):
            errors[tag] = explanation
    if not version.checks_strictly:
        for tag, explanation in _custom_errors(attributes, schema).items():
            errors.setdefault(tag, explanation)
    if full_item_validation:
        for violation in violations:
            if "/" not in violation.path and (violation.tag in REQUIRED or not version.warns_instead_of_failing):
                errors.setdefault(violation.tag, violation.explanation)

    warnings: dict[int, str] = {}
    if version.warns_instead_of_failing:
        if _PATIENT_ID not in errors and _is_blank(part10, _PATIENT_ID):
            warnings[_PATIENT_ID] = "PatientID is empty"
        for violation in violations:
            if violation.tag not in errors:
                warnings.setdefault(violation.tag, violation.explanation)
        for oddity in part10.oddities:
            if oddity.tag not in errors:
                warnings.setdefault(oddity.tag, oddity.explanation)
        for tag, explanation in _not_indexed(attributes, schema).items():
            if tag not in errors:
                warnings.setdefault(tag, explanation)

    comments = tuple(_comment(tag, explanation) for tag, explanation in (errors | warnings).items())
    sop_class_uid, sop_instance_uid = (
        first_text(attributes, _key(_SOP_CLASS)),
        first_text(attributes, _key(_SOP_INSTANCE)),
    )
    if errors:
        return Invalid(sop_class_uid, sop_instance_uid, comments)
    metrics.add(metrics.VALIDATION_WARNINGS, len(warnings))

    identifier = InstanceIdentifier(*(trim_uid(first_text(attributes, _key(tag)) or "") for tag in _IDENTIFIERS))
    indexed = _leave_out(part10, violations if version.warns_instead_of_failing else (), schema)
    return Valid(
        identifier,
        trim_uid(sop_class_uid or ""),
        _warning_reason(part10, warnings),
        comments,
        bool(several),
        attributes,
        *indexed,
        schema.number,
    )


def _missing(part10: Part10, *, may_be_blank: Collection[int]) -> dict[int, str]:
    """The required attributes that are missing or not single (STOW-20); explanation by tag."""
    errors: dict[int, str] = {}
    for tag in REQUIRED:
        element = part10.attributes.get(_key(tag))
        if element is None:
            errors[tag] = f"The required attribute {keyword_of(tag)} is missing"
        elif tag not in may_be_blank and (_is_blank(part10, tag) or len(values(part10.attributes, _key(tag))) != 1):
            errors[tag] = f"The required attribute {keyword_of(tag)} must have exactly one value"
    return errors


def _is_study(attributes: Attributes, study: str) -> bool:
    """STOW-23: compared without regard to case and trailing blanks."""
    stored = first_text(attributes, _key(_STUDY)) or ""
    return trim_uid(stored).casefold() == trim_uid(study).casefold()


def _minimum_error(part10: Part10, tag: int, *, trim_nul: bool) -> str | None:
    """The objection of the minimum checker to the first value of an attribute; none to one that is absent."""
    element = part10.attributes.get(_key(tag))
    if element is None:
        return None
    first = part10.text.get(_key(tag), "").split("\\", 1)[0]
    vr = element["vr"]
    error = validation.minimum(tag, vr, first, trim_nul=trim_nul)
    if error is None and trim_nul:
        # One NUL is how a UID is padded (PS3.5 §6.2).
        padded = first.removesuffix("\0") if vr == "UI" else first
        if padded.endswith("\0") and validation.minimum(tag, vr, padded, trim_nul=False):
            metrics.add(metrics.NUL_PADDED_VALUES)
    return error


def _custom_errors(attributes: Attributes, schema: IndexSchema) -> dict[int, str]:
    """The objections of the minimum checker to the first values of custom attributes (VAL-1)."""
    errors: dict[int, str] = {}
    for attribute in schema.custom.values():
        path = located(attributes, attribute)
        value = first(attributes, path) if path and "." not in path else None
        if path is None or not isinstance(value, str | Mapping):
            continue
        vr, text = attributes[path]["vr"], _text(value)
        if text.strip(" \0") and (explanation := validation.minimum(int(path, 16), vr, text, trim_nul=True)):
            errors[int(path, 16)] = explanation
    return errors


def _not_indexed(attributes: Attributes, schema: IndexSchema) -> dict[int, str]:
    """Custom attributes whose values the index cannot take, though nothing else may be wrong with them (EQT-58)."""
    found: dict[int, str] = {}
    for key, fault in schema.faults(attributes, 0, schema.number).items():
        path = located(attributes, schema.attributes[key])
        if path is not None:
            found[int(path.rpartition(".")[2], 16)] = f"The value is not found by searches: {fault}"
    return found


def document_of(verdict: Valid | Invalid, *, large: bool = True) -> tuple[Valid | Invalid, bytes]:
    """The verdict, and the metadata of an instance that may be stored as its document; `large`: made step by step.

    An instance whose document is too large is invalid.
    """
    if isinstance(verdict, Invalid):
        return verdict, b""
    try:
        return verdict, (dumps_in_slices if large else dumps)(verdict.metadata)
    except DocumentTooLarge:
        return Invalid(verdict.sop_class_uid, verdict.identifier.sop_instance_uid, (TOO_LARGE,)), b""


def _leave_out(part10: Part10, violations: Iterable[Violation], schema: IndexSchema) -> Taken:
    """Take away from the data set what failed (VAL-6, D-13) and an empty PatientID (STOW-22).

    Returns the study, series and instance attributes for the index. They take the first of several values where one is
    allowed, if it is valid (D-14), although the metadata are without the element.
    """
    attributes = part10.attributes
    cut: list[str] = []
    for violation in violations:
        if "/" not in violation.path and violation.tag in _IDENTIFIERS:
            continue
        if _keep_first_value(attributes, violation):
            cut.append(violation.path)
        else:
            remove(attributes, violation.path)
    study, series, instance = schema.extract(attributes)
    for path in cut:
        remove(attributes, path)
    if _is_blank(part10, _PATIENT_ID):
        remove(attributes, _key(_PATIENT_ID))
    return study, series, instance


def _keep_first_value(attributes: Attributes, violation: Violation) -> bool:
    """Cut an element that has too many values to its first, if that is valid. False, and unchanged, if not."""
    data_set, key = enclosing(attributes, violation.path)
    several = values(data_set, key)
    if vm_of(violation.tag) != "1" or len(several) < 2 or several[0] is None:
        return False
    if validation.strict(violation.vr, [_text(several[0])]) is not None:
        return False
    data_set[key]["Value"] = [several[0]]
    return True


def _text(value: str | float | Mapping[str, str]) -> str:
    """A value of the DICOM JSON model as DICOM writes it."""
    if isinstance(value, Mapping):
        return "=".join(value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")
    return str(value)


def _is_announced_in_header(violation: Violation, several: Collection[int], part10: Part10) -> bool:
    """Whether all that is wrong with a required attribute is that it has several values (VAL-8)."""
    if "/" in violation.path or violation.tag not in several:
        return False
    return validation.strict(violation.vr, part10.text.get(_key(violation.tag), "").split("\\")) is None


def _with_several_values(attributes: Attributes, tags: Iterable[int]) -> frozenset[int]:
    return frozenset(tag for tag in tags if vm_of(tag) == "1" and len(values(attributes, _key(tag))) > 1)


def _warning_reason(part10: Part10, warnings: Mapping[int, str]) -> WarningReason | None:
    if part10.implicit_vr:
        return WarningReason.DATA_SET_MISMATCH
    return WarningReason.ATTRIBUTES_INVALID if warnings else None


def _is_blank(part10: Part10, tag: int) -> bool:
    """Whether an attribute has no value but blanks and padding. One that is absent is blank."""
    return not part10.text.get(_key(tag), "").strip(" \0")


def _comment(tag: int, explanation: str) -> str:
    return f"DICOM100: ({tag >> 16:04x},{tag & 0xFFFF:04x}) - {explanation}"


def _key(tag: int) -> str:
    return f"{tag:08X}"
