"""Whether DICOMcast keeps up (dicomcast §5.1, §5.6).

A FHIR server that is away makes nothing of the images unavailable: the service is degraded, never unhealthy, because a
platform takes instances that are unhealthy out of service.
"""

from shared.cast.circuit import Circuit
from shared.errors import Unavailable
from shared.health_status import CheckResult, HealthCheck, Status


def fhir_is_served(circuit: Circuit) -> HealthCheck:
    """The check of the circuit."""

    async def check() -> CheckResult | None:
        try:
            state = await circuit.state(fresh=True)
        except Unavailable:
            return CheckResult(Status.DEGRADED, "It is not known whether the FHIR server takes studies.")
        if not state.is_open:
            return None
        return CheckResult(Status.DEGRADED, f"The FHIR server takes no studies ({state.failure}).")

    return check
