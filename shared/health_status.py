"""The health of the parts of the service, as each part says of itself (HC-1, HC-4)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The health of a part of the service, best first."""

    HEALTHY = "Healthy"
    DEGRADED = "Degraded"
    UNHEALTHY = "Unhealthy"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The finding of a check. `description` is shown to anybody: it names no host, account or patient."""

    status: Status
    description: str = ""


type HealthCheck = Callable[[], Awaitable[CheckResult | None]]
"""Raises, or returns None when all is well. DependencyRefused means that the customer has withdrawn access (HC-4)."""
