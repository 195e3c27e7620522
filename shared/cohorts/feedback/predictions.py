"""Predictions of a model, each with its outcome (cohorts §8.10, COH-15, COH-35).

All predictions are looked through; of them the next ones behind a token are held, so that memory is bounded.
"""

import base64
import heapq
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple

import orjson

from shared.cohorts.evaluation.studies import study_uid
from shared.cohorts.feedback.models import FeedbackModel, Value, comparison
from shared.cohorts.feedback.moments import Moment, order_of, performed_at, read_at
from shared.cohorts.feedback.places import Places
from shared.cohorts.folding import fold
from shared.cohorts.gathering.anchor import code_values
from shared.cohorts.gathering.reader import GROUP, Reader, patient_of
from shared.errors import InvalidRequest, NotFound
from shared.fhir.resources import Resource, elements, identifiers, local_reference, referenced, resource_id
from shared.http.roles import Scope

MOST_LINES: Final = 10_000
"""Predictions of one answer; `next` leads to the following ones."""
_WITHDRAWN: Final = frozenset({"entered-in-error", "cancelled", "unknown"})
_CERTAIN: Final = frozenset({"final", "amended", "corrected"})
"""Statuses of an Observation that is an outcome."""
_REFUTED: Final = frozenset({"refuted", "entered-in-error"})

type Order = tuple[str, str]
"""The sort key of lines: moment, id of the Observation."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One prediction, as little of it as a line needs."""

    order: Order
    id: str
    patient: str
    moment: Moment | None
    value: Value
    device: str
    studies: Sequence[str]
    """References of its ImagingStudies."""
    series: Sequence[str]
    """UIDs that it names beside them."""
    model: FeedbackModel = field(compare=False)


class Line(NamedTuple):
    """A prediction and its outcome."""

    patient: str
    """`Patient/id`."""
    observation: str
    """`Observation/id` of the prediction."""
    document: dict[str, Any]
    """As it is answered."""


@dataclass(slots=True)
class Summary:
    """The summary of the lines of one version."""

    count: int = 0
    outcomes: int = 0
    agreeing: int = 0
    errors: list[float] = field(default_factory=list)

    def add(self, line: Mapping[str, Any]) -> None:
        """Count a line."""
        self.count += 1
        if line["outcome"] is not None:
            self.outcomes += 1
            self.agreeing += line["agree"]
            if "delta" in line:
                self.errors.append(abs(line["delta"]))

    def document(self) -> dict[str, Any]:
        """Fractions to four digits; None of nothing."""
        return {
            "count": self.count,
            "coverage": _fraction(self.outcomes, self.count),
            "agreement": _fraction(self.agreeing, self.outcomes),
            "meanAbsoluteError": round(sum(self.errors) / len(self.errors), 9) if self.errors else None,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """The predictions of one answer."""

    model: str
    """The device name as it is configured."""
    predictions: Sequence[Prediction]
    devices: Mapping[str, Resource]
    next: str
    """The token for what follows, also where nothing does yet."""


class Predictions:
    """The predictions that a FHIR server has of configured models. `pseudonym`: of a reference `Patient/id`."""

    def __init__(
        self, reader: Reader, places: Places, models: Sequence[FeedbackModel], pseudonym: Callable[[str], str]
    ) -> None:
        self._reader = reader
        self._places = places
        self._models = models
        self._pseudonym = pseudonym

    async def page(self, device: str, since: date | None, after: str) -> Page:
        """The predictions of a device behind a token. Raises NotFound, InvalidRequest, RequestFailed."""
        models = [each for each in self._models if fold(each.name) == fold(device)]
        if not models:
            raise NotFound("There is no model of that name.")
        start = order_of_token(after)
        devices = await self._devices(models[0].name)
        nearest: list[_Reversed] = []
        seen: set[str] = set()
        for model in models:
            async for observation in self._observations(model):
                found = self._prediction(observation, model, devices)
                if found is None or found.order <= start or found.id in seen or not _is_since(found.moment, since):
                    continue
                seen.add(found.id)
                heapq.heappush(nearest, _Reversed(found))
                if len(nearest) > MOST_LINES:
                    seen.discard(heapq.heappop(nearest).prediction.id)
        predictions = sorted((each.prediction for each in nearest), key=lambda each: each.order)
        return Page(models[0].name, predictions, devices, _token(predictions[-1].order) if predictions else after)

    async def lines(self, page: Page, scope: Scope) -> AsyncIterator[list[Line]]:
        """The lines of a page, a group at a time. Raises RequestFailed."""
        for at in range(0, len(page.predictions), GROUP):
            yield await self._group(page.predictions[at : at + GROUP], page.devices, scope)

    # ------------------------------------------------------------------------------------------------------- inside

    async def _devices(self, name: str) -> dict[str, Resource]:
        """The Devices of that name, by reference: those that a server finds, compared here."""
        found = {}
        async for device in self._reader.each("Device", (("device-name", name),)):
            if any(fold(str(each.get("name", ""))) == fold(name) for each in elements(device, "deviceName")):
                found[local_reference(device)] = device
        return found

    async def _observations(self, model: FeedbackModel) -> AsyncIterator[Resource]:
        """Observations that may be predictions: by code, else those of the patients of our studies."""
        code = model.prediction.code
        if code.searchable:
            for value in code_values(code.code_set.pairs):
                async for observation in self._reader.each("Observation", (("code", value),)):
                    yield observation
            return
        async for group in self._patients():
            found = await self._reader.of_patients(
                "Observation", group, self._reader.base, keep=lambda each: code.code_set.holds(each.get("code"))
            )
            for held in found.values():
                for observation in held:
                    yield observation

    async def _patients(self) -> AsyncIterator[list[str]]:
        """The patients of the ImagingStudies at our endpoints, in groups."""
        patients: set[str] = set()
        studies: list[Resource] = []

        async def add() -> None:
            ours = await self._places.ours(studies)
            patients.update(patient_of(each, self._reader.base) for each in studies if local_reference(each) in ours)
            studies.clear()

        async for study in self._reader.each("ImagingStudy"):
            studies.append(study)
            if len(studies) >= 4 * GROUP:
                await add()
        await add()
        ordered = sorted(patients - {""})
        for at in range(0, len(ordered), GROUP):
            yield ordered[at : at + GROUP]

    def _prediction(
        self, observation: Resource, model: FeedbackModel, devices: Mapping[str, Resource]
    ) -> Prediction | None:
        base = self._reader.base
        device, patient = referenced(observation.get("device"), base), patient_of(observation, base)
        value = model.value_of(observation, model.prediction.value)
        if device not in devices or not patient or value is None or observation.get("status") in _WITHDRAWN:
            return None
        if not model.prediction.code.code_set.holds(observation.get("code")):
            return None
        sources = [each for name in ("partOf", "derivedFrom") for each in elements(observation, name)]
        moment, known = read_at(observation), resource_id(observation)
        return Prediction(
            (order_of(moment), known),
            known,
            patient,
            moment,
            value,
            device,
            [each for each in dict.fromkeys(referenced(source, base) for source in sources) if "ImagingStudy/" in each],
            sorted(set(_uids(sources))),
            model,
        )

    async def _group(
        self, predictions: Sequence[Prediction], devices: Mapping[str, Resource], scope: Scope
    ) -> list[Line]:
        studies = await self._reader.by_reference(name for each in predictions for name in each.studies)
        visible = await self._places.visible(list(studies.values()), scope)
        seen = [each for each in predictions if scope.whole_service or visible.intersection(each.studies)]
        outcomes = await self._outcomes(seen)
        lines = []
        for each in seen:
            held = [studies[name] for name in each.studies if name in visible]
            uids = [uid for uid in map(study_uid, held) if uid]
            line: dict[str, Any] = {
                "model": each.model.name,
                "version": version_of(devices[each.device]),
                "predictedAt": each.moment.text if each.moment else None,
                "studyUid": uids[0] if uids else None,
                "seriesUids": [uid for uid in each.series if uid not in uids],
                "prediction": each.value,
                "outcome": None,
                "outcomeSource": None,
            }
            found = _outcome_of(each, outcomes.get((each.model.name, each.model.outcome.resource, each.patient), ()))
            if found is not None:
                source, value = found
                line |= {"outcome": value, "outcomeSource": source, **comparison(each.model, each.value, value)}
            line["patientPseudonym"] = self._pseudonym(f"Patient/{each.patient}")
            lines.append(Line(f"Patient/{each.patient}", f"Observation/{each.id}", line))
        return lines

    async def _outcomes(self, predictions: Iterable[Prediction]) -> Mapping[tuple[str, str, str], Sequence[Resource]]:
        """Observations that may be outcomes, by model, type and patient."""
        wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
        models: dict[tuple[str, str], list[FeedbackModel]] = defaultdict(list)
        for each in predictions:
            key = each.model.name, each.model.outcome.resource
            wanted[key].add(each.patient)
            if each.model not in models[key]:
                models[key].append(each.model)
        found: dict[tuple[str, str, str], Sequence[Resource]] = {}
        for (name, kind), patients in wanted.items():
            held = await self._reader.of_patients(
                kind, sorted(patients), self._reader.base, keep=_any_of(models[name, kind])
            )
            found |= {(name, kind, patient): resources for patient, resources in held.items()}
        return found


def _any_of(models: Sequence[FeedbackModel]) -> Callable[[Resource], bool]:
    """Whether a resource may be an outcome of one of some models."""
    sets = [each.outcome.code.code_set for each in models]
    return lambda resource: any(each.holds(resource.get("code")) for each in sets)


class _Reversed:
    """A prediction in a heap whose top is the last one."""

    __slots__ = ("prediction",)

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction

    def __lt__(self, other: "_Reversed") -> bool:
        return self.prediction.order > other.prediction.order


def version_of(device: Resource) -> str:
    """The version of a Device; empty if it has none."""
    return next((str(each["value"]) for each in elements(device, "version") if "value" in each), "")


def _outcome_of(prediction: Prediction, resources: Sequence[Resource]) -> tuple[str, Value] | None:
    """The first outcome in the window, by reference, and its value."""
    model, found = prediction.model, []
    for resource in resources:
        moment, value = _moment_of(resource), _value_of(resource, model)
        if prediction.moment is None or moment is None or value is None or resource_id(resource) == prediction.id:
            continue
        if model.outcome.code.code_set.holds(resource.get("code")) and moment.within(prediction.moment, model.reach):
            found.append((order_of(moment), local_reference(resource), value))
    return min(found, key=lambda each: each[:2])[1:] if found else None


def _moment_of(resource: Resource) -> Moment | None:
    match resource.get("resourceType"):
        case "Procedure":
            return performed_at(resource)
        case "Condition":
            return Moment.of(resource.get("onsetDateTime")) or Moment.of(resource.get("recordedDate"))
        case _:
            return read_at(resource)


def _value_of(resource: Resource, model: FeedbackModel) -> Value | None:
    """The value of an outcome; of a presence that it is there."""
    kind, status = resource.get("resourceType"), resource.get("status")
    if kind == "Observation":
        if status not in _CERTAIN:
            return None
        return True if model.compare.kind == "presence" else model.value_of(resource, model.prediction.value)
    if kind == "Procedure":
        return True if status == "completed" else None
    verification: Any = resource.get("verificationStatus")
    codings = elements(verification, "coding") if isinstance(verification, Mapping) else []
    return None if any(each.get("code") in _REFUTED for each in codings) else True


def _uids(sources: Iterable[Resource]) -> Iterable[str]:
    for source in sources:
        held = source.get("identifier")
        if isinstance(held, Mapping):
            yield from (
                value.removeprefix("urn:oid:")
                for system, value in identifiers({"identifier": [held]})
                if system == "urn:dicom:uid" and value
            )


def _is_since(moment: Moment | None, since: date | None) -> bool:
    return since is None or (moment is not None and moment.last >= since)


def _fraction(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _token(order: Order) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(order)).decode().rstrip("=")


def order_of_token(token: str) -> Order:
    """The place that a token of an earlier answer names; the beginning for none. Raises InvalidRequest."""
    if not token:
        return "", ""
    try:
        moment, known = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, TypeError):
        raise InvalidRequest("The token is not one of an earlier answer.", where="query parameter after") from None
    return str(moment), str(known)
