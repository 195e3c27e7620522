"""The health of DICOMcast: whether it keeps up (dicomcast §5.1, §5.6).

A FHIR server that is away makes nothing of the images unavailable: the service is degraded, never unhealthy, because a
platform takes instances that are unhealthy out of service.
"""

from collections.abc import Awaitable, Callable

from shared.cast.circuit import Circuit
from shared.errors import Unavailable
from shared.health_status import CheckResult, HealthCheck, Status


def fhir_is_served(circuit: Circuit, differences: Callable[[], Awaitable[int]]) -> HealthCheck:
    """The check of the circuit, and of what the last verification found: `differences`, their number (CAST-OK-3)."""

    async def check() -> CheckResult | None:
        try:
            state = await circuit.state(fresh=True)
            found = await differences()
        except Unavailable:
            return CheckResult(Status.DEGRADED, "It is not known whether the FHIR server takes studies.")
        if state.is_open:
            return CheckResult(Status.DEGRADED, f"The FHIR server takes no studies ({state.failure}).")
        if found:
            return CheckResult(Status.DEGRADED, f"FHIR differed from DICOM in {found} places when they were compared.")
        return None

    return check
