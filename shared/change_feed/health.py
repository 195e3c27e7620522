"""The health of publication: whether the events of changes come in time (HC-1)."""

from typing import Final

from shared import metrics
from shared.change_log.follower import Follower
from shared.errors import Unavailable
from shared.health_status import CheckResult, HealthCheck, Status
from shared.storage.ports import Ambiguous

_LATE_SECONDS: Final = 120
"""An event that is older has not come in time."""


def events_in_time(publication: Follower) -> HealthCheck:
    """The check of the follower that publishes; what else could be wrong is told by the other checks."""

    async def check() -> CheckResult | None:
        try:
            lag = await publication.lag()
        except (Unavailable, Ambiguous):
            return CheckResult(Status.DEGRADED, "It is not known whether events are late.")
        metrics.set_to(metrics.FEED_LAG_SECONDS, lag)
        if lag <= _LATE_SECONDS:
            return None
        return CheckResult(Status.DEGRADED, f"The event of the oldest change is {lag:.0f} seconds late.")

    return check
