"""CAST-EV-1, CAST-EV-2 Events of a DICOM service: that something has changed there, and nothing else of them.

They are Microsoft's types, as its DICOM service and this one publish them. Which study it is stands in the change feed,
which is read in any case; so an event that is late, double, lost or forged changes nothing but when that is.
"""

from typing import Any, Final

CHANGES: Final = frozenset(f"Microsoft.HealthcareApis.DicomImage{what}" for what in ("Created", "Updated", "Deleted"))
"""Types of events that tell of a change."""
_LONGEST: Final = 253
"""Of a host name (RFC 1035)."""


def is_change(kind: object) -> bool:
    """Whether an event of that type tells of a change; others are none of ours."""
    return isinstance(kind, str) and kind in CHANGES


def host_of(data: Any) -> str:
    """The service whose event it is, in lower case; empty if it does not say."""
    host = data.get("serviceHostName") if isinstance(data, dict) else None
    return host.strip().lower() if isinstance(host, str) and len(host) <= _LONGEST else ""
