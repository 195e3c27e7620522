"""Counters of the service and spans of its transactions, for whatever collects them (TEL-1).

Without a collector a count costs a comparison. Dimensions and attributes hold no patient data, and no UID.
"""

from collections.abc import Mapping
from typing import Final, Protocol

INSTANCE_BYTES_STORED: Final = "dicom.store.bytes"
"""Bytes of instances that were stored."""
INSTANCES_STORED: Final = "dicom.store.instances"
INSTANCES_REFUSED: Final = "dicom.store.refused"
"""Instances that were not stored; dimension `reason`: the failure reason of PS3.18 §10.5.3."""
VALIDATION_WARNINGS: Final = "dicom.store.validation_warnings"
"""Attributes of stored instances that are not valid and were left out of the index (v2)."""
NUL_PADDED_VALUES: Final = "dicom.store.nul_padded_values"
"""Values that are valid only because NULs behind them are taken for padding."""
INDEXING_ERRORS: Final = "dicom.reindex.errors"
"""Values that a re-index could not take."""
INSTANCES_UPDATED: Final = "dicom.update.instances"
"""Instances that an update, a merge or a move has given a new version, or moved."""
INSTANCES_RETRIEVED: Final = "dicom.retrieve.instances"
"""Instances of which something was sent; dimensions `transcoded`, `rendered`, `frames` (frames alone)."""
METADATA_RETRIEVED: Final = "dicom.retrieve.metadata"
"""Data sets that were sent as metadata."""
OLDEST_PENDING_DELETION: Final = "dicom.delete.oldest_pending_seconds"
"""How long the oldest file that is to be erased has been due."""
DELETIONS_FAILED: Final = "dicom.delete.failed"
"""Files that could not be erased, after all retries of storage; they stay due."""
AUDIT_NOT_WRITTEN: Final = "dicom.audit.not_written"
"""Audit records that their folder did not take."""
TRANSACTIONS: Final = "dicom.transactions"
"""Requests; dimensions `function`, `status` (`2xx`), `apiVersion`."""
TRANSACTION_MILLISECONDS: Final = "dicom.transaction.milliseconds"
FEED_LAG_SECONDS: Final = "dicom.change_feed.lag_seconds"
"""How long the oldest change has been waiting for its event."""
CAST_STUDIES: Final = "dicom.cast.studies"
"""Studies that were reconciled with FHIR; dimension `outcome`: `written` or `unchanged`."""
CAST_RESOURCES: Final = "dicom.cast.resources"
"""Requests inside its transactions; dimension `request`: method and type."""
CAST_SECONDS: Final = "dicom.cast.seconds"
"""From the commit of the oldest change of a study until it was in FHIR."""
CAST_FOREIGN_EVENTS: Final = "dicom.cast.foreign_events"
"""Events of a DICOM service whose studies are not cast."""
CAST_PARKED: Final = "dicom.cast.parked"
"""Studies that were parked; dimension `failureClass`."""
CAST_DIFFERENCES: Final = "dicom.cast.differences"
"""Differences between DICOM and FHIR that the last verification found."""

type Dimension = str | bool | int


class Collector(Protocol):
    """Takes what is counted. Its methods return at once and never raise."""

    def add(self, name: str, amount: float, dimensions: Mapping[str, Dimension]) -> None:
        """So many more."""
        ...

    def record(self, name: str, value: float, dimensions: Mapping[str, Dimension]) -> None:
        """One value of a distribution."""
        ...

    def set(self, name: str, value: float) -> None:
        """How it stands now."""
        ...

    def span(self, name: str, seconds: float, traceparent: str, attributes: Mapping[str, Dimension]) -> None:
        """Record the duration of an act that has ended; `traceparent`: W3C header of its request, '' without one."""
        ...


class _Chosen:
    collector: Collector | None = None


def collect(collector: Collector | None) -> None:
    """Give everything to `collector` from now on; None: to nobody."""
    _Chosen.collector = collector


def is_collected() -> bool:
    """Whether anybody takes what is counted: what costs something to find out need not be found out else."""
    return _Chosen.collector is not None


def add(name: str, amount: float = 1, /, **dimensions: Dimension) -> None:
    """So many more."""
    if _Chosen.collector is not None and amount:
        _Chosen.collector.add(name, amount, dimensions)


def record(name: str, value: float, /, **dimensions: Dimension) -> None:
    """One value of a distribution."""
    if _Chosen.collector is not None:
        _Chosen.collector.record(name, value, dimensions)


def set_to(name: str, value: float) -> None:
    """How it stands now."""
    if _Chosen.collector is not None:
        _Chosen.collector.set(name, value)


def span(name: str, seconds: float, traceparent: str = "", /, **attributes: Dimension) -> None:
    """Record the duration of an act that has just ended."""
    if _Chosen.collector is not None:
        _Chosen.collector.span(name, seconds, traceparent, attributes)
