"""The traces of a patient beside studies: each place is looked through once the studies are gone (PHI-1)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.dicomweb.partitions import Partition
from shared.study_updates.patients import Patient


@dataclass(frozen=True, slots=True)
class Subject:
    """The patient who is erased."""

    partition: Partition
    patient: Patient
    studies: Sequence[str]
    """Those of the task, erased or untouched."""


type Erase = Callable[[Subject], Awaitable[Mapping[str, Any]]]
"""Erases what a place holds of the subject. What it found are members of the results, without attributes of a patient.
It is idempotent, and raises Unavailable."""
