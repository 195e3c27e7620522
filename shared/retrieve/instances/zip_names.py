"""Names of the files in an archive: what a person looks for, made safe for every file system (ZIP-2). Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from shared.dicom.identifiers import InstanceIdentifier
from shared.index.model import StoredInstance, StudyView

type EntryNames = Mapping[InstanceIdentifier, str]

_LONGEST: Final = 64
"""Characters of a part of a name."""
_SUFFIX: Final = ".dcm"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_RESERVED: Final = re.compile(r"(?:CON|PRN|AUX|NUL|(?:COM|LPT)[0-9])", re.IGNORECASE)
"""Names of devices on Windows, which no folder or file can have there."""
_PATIENT_ID: Final = "00100020"
_MODALITY: Final = "00080060"
_SERIES_NUMBER: Final = "00200011"
_INSTANCE_NUMBER: Final = "00200013"


def entry_names(study: StudyView | None, instances: Iterable[StoredInstance], *, uids_only: bool) -> EntryNames:
    """The name of each instance, unique in the archive: `patient/series/instance.dcm`.

    `uids_only`: no values of attributes, UIDs alone. `study` None: its attributes are not known any more.
    """
    taken = _Taken()
    folders: dict[str, str] = {}
    names: dict[InstanceIdentifier, str] = {}
    for instance in instances:
        uid = instance.identifier.series_instance_uid
        if uid not in folders:
            folder = _folder(study, instance.identifier, uids_only=uids_only)
            folders[uid] = taken.unique(folder, _LONGEST, "")
        number = "" if uids_only else instance.attributes.get(_INSTANCE_NUMBER, "")
        stem = _safe_name(number, instance.identifier.sop_instance_uid)
        names[instance.identifier] = taken.unique(f"{folders[uid]}/{stem}", _LONGEST - len(_SUFFIX), _SUFFIX)
    return names


def _folder(study: StudyView | None, identifier: InstanceIdentifier, *, uids_only: bool) -> str:
    series = study.series.get(identifier.series_instance_uid) if study else None
    if uids_only:
        return f"{_safe(identifier.study_instance_uid)}/{_safe(identifier.series_instance_uid)}"
    patient = _safe(study.attributes.get(_PATIENT_ID, "")) if study else ""
    attributes = series.attributes if series else {}
    described = _safe_name(attributes.get(_SERIES_NUMBER, ""), attributes.get(_MODALITY, ""))
    return f"{patient or _safe(identifier.study_instance_uid)}/{described or _safe(identifier.series_instance_uid)}"


def _safe_name(*parts: str) -> str:
    return "_".join(filter(None, map(_safe, parts)))


def _safe(text: str) -> str:
    safe = _UNSAFE.sub("-", text.strip()).strip("-")
    return f"_{safe}" if _RESERVED.fullmatch(safe) else safe


class _Taken:
    """The names of an archive so far. Names that differ in case alone are one name on many file systems."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._numbers: dict[str, int] = {}
        """By name: the number that the last one of that name was given, so that many of them cost no search each."""

    def unique(self, path: str, most: int, suffix: str) -> str:
        """`path`, its last part no longer than `most`: of a long one the end is kept, which tells UIDs apart."""
        parent, slash, last = path.rpartition("/")
        parent = "/".join(part[-_LONGEST:] for part in parent.split("/"))
        known = path.casefold()
        number = self._numbers.get(known, 1)
        while True:
            tail = f"_{number}" if number > 1 else ""
            name = f"{parent}{slash}{last[-(most - len(tail)) :]}{tail}{suffix}"
            if name.casefold() not in self._names:
                self._names.add(name.casefold())
                self._numbers[known] = number
                return name
            number += 1
