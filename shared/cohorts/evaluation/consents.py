"""Consents that permit research on a day (cohorts §8.11). Pure."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from shared.cohorts.evaluation.calendar_dates import interval
from shared.cohorts.evaluation.codes import pairs_of
from shared.fhir.resources import Resource

_RESEARCH: Final = ("http://terminology.hl7.org/CodeSystem/consentscope", "research")


def permits_research(consents: Iterable[Resource], day: date) -> bool:
    """Whether an active Consent to research permits it on that day, and no other one denies it."""
    decisions = [_decision(each, day) for each in consents if _is_about_research(each)]
    return "permit" in decisions and "deny" not in decisions


def _is_about_research(consent: Resource) -> bool:
    scope = consent.get("scope")
    return consent.get("status") == "active" and isinstance(scope, Mapping) and _RESEARCH in set(pairs_of(scope))


def _decision(consent: Resource, day: date) -> str:
    """`permit` or `deny`; empty outside of its period, and for a permission also where nobody knows."""
    provision: Any = consent.get("provision")
    if not isinstance(provision, Mapping):
        return "permit"
    kind = "deny" if provision.get("type") == "deny" else "permit"
    period = provision.get("period")
    if not isinstance(period, Mapping):
        return kind
    start, end = interval(period.get("start")), interval(period.get("end"))
    if ("start" in period and start is None) or ("end" in period and end is None):
        return "deny" if kind == "deny" else ""
    if kind == "deny":
        outside = (start is not None and start.first > day) or (end is not None and end.last < day)
        return "" if outside else "deny"
    inside = (start is None or start.last <= day) and (end is None or end.first >= day)
    return "permit" if inside else ""
