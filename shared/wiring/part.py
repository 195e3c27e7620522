"""A part of the app: what an area adds to it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import azure.functions as func

from shared.deidentification.key import Pseudonyms
from shared.health_status import HealthCheck
from shared.housekeeping.chores import Chore
from shared.operations.model import OperationType
from shared.operations.runner import Work
from shared.patient_erasure.traces import Erase


@dataclass(frozen=True, slots=True)
class Part:
    """The functions and work that an area adds to the app; all of it may be nothing."""

    functions: Sequence[func.Blueprint] = ()
    chores: Sequence[Chore] = ()
    work: Mapping[OperationType, Work] = field(default_factory=dict)
    """The work of operations of these types."""
    health: Mapping[str, HealthCheck] = field(default_factory=dict)
    """Checks of what it depends on, by the name of the entry in a health report."""
    erase: Erase | None = None
    """Erases what the area keeps of a patient who is erased (PHI-1)."""
    cohort_studies: Callable[[str, str], AsyncGenerator[str]] | None = None
    """The UIDs of the studies of a cohort, by its id, that lie in a data partition, by its name."""
    clinical_data: (
        Callable[[Sequence[str], Sequence[str], Any, Pseudonyms | None], Awaitable[dict[str, Any]]] | None
    ) = None
    """A FHIR Bundle about studies, of some of their series if any are named: their reports, or a timeline; under
    pseudonyms it names nobody.
    """
    changed: Callable[[], Awaitable[None]] | None = None
    """Called after changes were logged."""


NOTHING = Part()
"""The part of an area that is switched off."""
