"""Running, listing, showing and deleting cohorts (cohorts §8.6)."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from shared.cohorts.definition.canonical import canonical, definition_hash, manifest_form
from shared.cohorts.definition.model import CohortDefinition
from shared.cohorts.definition.reading import InvalidDefinition
from shared.cohorts.entries import files
from shared.cohorts.evaluation.patients import Evaluation
from shared.cohorts.gathering.anchor import anchor_of, searches
from shared.cohorts.gathering.reader import Reader
from shared.cohorts.gathering.records import Needs
from shared.cohorts.language.sentence import sentence
from shared.cohorts.manifest import head_of_manifest, summary, visible_entry, without_identity
from shared.cohorts.store import INDETERMINATE, MEMBER, CohortStore, new_key
from shared.cohorts.terminology import NotExpanded, Terminology
from shared.cohorts.terms import Terms
from shared.cohorts.value_sets import ValueSets
from shared.errors import Conflict, NotFound
from shared.fhir.client import FhirClient
from shared.http.roles import Scope
from shared.operations.model import Operation, OperationStatus, OperationType
from shared.operations.store import Operations, new_operation_id
from shared.version import VERSION

_OUTSIDE: Final = "studies are outside your scopes and left out"


@dataclass(frozen=True, slots=True)
class View:
    """The view that a caller has of a cohort."""

    scope: Scope
    """The data partitions whose studies are seen."""
    identified: bool
    """Whether who the patients are is seen."""


class Cohorts:
    """The cohorts of one service."""

    def __init__(
        self,
        client: FhirClient,
        store: CohortStore,
        operations: Operations,
        terms: Terms,
        *,
        value_sets: ValueSets,
        now: Callable[[], float],
        terminology: Terminology | None = None,
    ) -> None:
        """`terminology`: None where no server expands value sets."""
        self._client = client
        self._store = store
        self._operations = operations
        self._terms = terms
        self._value_sets = value_sets
        self._now = now
        self._terminology = terminology

    def today(self) -> str:
        """The day in UTC."""
        return datetime.fromtimestamp(self._now(), UTC).date().isoformat()

    async def start(self, definition: CohortDefinition, claims: Mapping[str, str]) -> Operation:
        """The operation that runs a definition; its id is that of the cohort. Raises InvalidDefinition, Unavailable."""
        cohort_id = new_operation_id()
        created = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        dictionary = await self._terms.dictionary()
        head = {
            "id": cohort_id,
            "name": definition.name,
            "asOf": definition.as_of or self.today(),
            "createdAt": created,
            "definition": definition.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True),
            "canonical": manifest_form(definition),
            "definitionHash": definition_hash(definition),
            "sentence": sentence(definition, dictionary),
            "valueSets": await self._codes_of_sets(definition),
            "limit": definition.limits.patients,
            "fhir": self._client.base,
            "engine": VERSION,
            "key": new_key(),
            "claims": dict(claims),
        }
        await self._store.keep(cohort_id, head)
        return await self._operations.create(
            OperationType.COHORT, {"cohort": cohort_id}, operation_id=cohort_id, resources=[f"cohorts/{cohort_id}"]
        )

    async def explain(self, definition: CohortDefinition) -> dict[str, Any]:
        """The searches of a definition, none of which is sent (COH-10)."""
        form = canonical(definition)
        sets = {
            name: frozenset((code["system"], code["code"]) for code in codes)
            for name, codes in (await self._codes_of_sets(definition)).items()
        }
        as_of = definition.as_of or self.today()
        evaluation = Evaluation(form, sets, datetime.fromisoformat(as_of).date())
        found = [
            {"search": kind, "parameters": dict(parameters)}
            for kind, parameters in searches(anchor_of(evaluation, form))
        ]
        group = {"patient": "Patient/{id},… in groups of 50"}
        found.append({"search": "Patient", "parameters": {"_id": "{id},… in groups of 50"}})
        found += [{"search": kind, "parameters": group} for kind in Needs(form, evaluation).kinds()]
        if form["consent"]["mode"] == "require":
            found.append({"search": "Consent", "parameters": group})
        if "reports" in form["collect"]:
            found.append({"search": "DiagnosticReport", "parameters": group})
        return {"asOf": as_of, "definitionHash": definition_hash(definition), "searches": found}

    async def all(self) -> list[dict[str, Any]]:
        """Every cohort, the newest first."""
        return [summary(await self._with_status(head)) for head in await self._store.all()]

    async def get(self, cohort_id: str) -> dict[str, Any]:
        """One cohort. Raises NotFound."""
        return summary(await self._with_status(await self._head(cohort_id)))

    async def delete(self, cohort_id: str) -> None:
        """Remove a cohort and its manifest. Raises NotFound."""
        if not await self._store.delete(cohort_id):
            raise NotFound("The cohort does not exist.")

    async def note_export(self, cohort_id: str, operation_id: str) -> None:
        """List an export with its cohort. Raises NotFound."""
        head = await self._head(cohort_id)
        await self._store.keep(cohort_id, {**head, "exports": [*head.get("exports", []), operation_id]})

    async def manifest(self, cohort_id: str, view: View, *, with_files: bool) -> AsyncIterator[bytes]:
        """The manifest, in pieces. Raises NotFound; Conflict while the run has not succeeded."""
        head = await self.succeeded(cohort_id)
        return self._pieces(head, view, with_files=with_files and view.identified)

    async def succeeded(self, cohort_id: str) -> dict[str, Any]:
        """The record of a cohort whose run has succeeded. Raises NotFound; Conflict while it has not."""
        head = await self._with_status(await self._head(cohort_id))
        if head["status"] != OperationStatus.SUCCEEDED.value:
            raise Conflict(f"The run of the cohort has the status {head['status']}: there is no manifest.")
        return head

    async def studies_in(self, cohort_id: str, partition: str) -> AsyncGenerator[str]:
        """The UIDs of the studies that lie in a data partition. Raises NotFound; Conflict while the run has not
        succeeded.
        """
        head = await self.succeeded(cohort_id)
        scope = Scope(names=frozenset({partition.casefold()}))
        async for entry in self._store.entries(str(head["id"]), MEMBER):
            for study in visible_entry(entry, scope)[0].get("studies", ()):
                if study.get("uid") and "retrieve" in study:
                    yield str(study["uid"])

    # ------------------------------------------------------------------------------------------------------- inside

    async def _head(self, cohort_id: str) -> dict[str, Any]:
        head = await self._store.get(cohort_id)
        if head is None:
            raise NotFound("The cohort does not exist.")
        return head

    async def _with_status(self, head: dict[str, Any]) -> dict[str, Any]:
        if "status" in head:
            return head
        operation = await self._operations.get(str(head["id"]))
        status = operation.status if operation else OperationStatus.FAILED
        if status is OperationStatus.SUCCEEDED:  # the work has written the head before the operation
            return await self._head(str(head["id"]))
        error = (operation.results or {}).get("error") if operation else None
        return {**head, "status": status.value, "error": error}

    async def _codes_of_sets(self, definition: CohortDefinition) -> dict[str, list[dict[str, str]]]:
        """The codes that each value set stands for at the site. Raises InvalidDefinition for one that is unknown."""
        site = [(row.terms, row.codes) for row in await self._terms.conditions()]
        found: dict[str, list[dict[str, str]]] = {}
        for path, name in _value_sets(canonical(definition)):
            if self._value_sets.find(name) is None:
                raise InvalidDefinition(path, f"there is no value set '{name[:100]}'")
            codes = sorted(self._value_sets.codes(name, site))
            found[name] = [{"system": system, "code": code} for system, code in codes]
        for path, url in _expansions(canonical(definition)):
            if url not in found:
                found[url] = [{"system": system, "code": code} for system, code in await self._expanded(path, url)]
        return found

    async def _expanded(self, path: str, url: str) -> list[tuple[str, str]]:
        """The codes of a value set of the terminology server (COH-38). Raises InvalidDefinition, RequestFailed."""
        if self._terminology is None:
            raise InvalidDefinition(path, "no terminology server is known here; name the codes")
        try:
            return sorted(await self._terminology.codes(url))
        except NotExpanded as error:
            raise InvalidDefinition(path, str(error)) from None

    async def _pieces(self, head: dict[str, Any], view: View, *, with_files: bool) -> AsyncIterator[bytes]:
        counts, outside = head["counts"], 0
        if not view.scope.whole_service:
            counts, outside = await self._visible_counts(head, view)
        start = orjson.dumps(head_of_manifest({**head, "counts": counts}))
        reader = Reader(self._client)
        yield start[:-1] + b',"patients":['
        first = True
        async for entry in self._store.entries(str(head["id"]), MEMBER):
            shown, _ = visible_entry(entry, view.scope)
            if with_files:
                await self._add_files(shown, reader)
            shown = shown if view.identified else without_identity(shown, head["key"])
            yield (b"" if first else b",") + orjson.dumps(shown)
            first = False
        yield b'],"indeterminate":['
        first = True
        async for entry in self._store.entries(str(head["id"]), INDETERMINATE):
            shown = entry if view.identified else without_identity(entry, head["key"])
            yield (b"" if first else b",") + orjson.dumps(shown)
            first = False
        warnings = [*head.get("warnings", []), *([f"{outside} {_OUTSIDE}"] if outside else [])]
        yield b'],"warnings":' + orjson.dumps(warnings) + b"}"

    async def _visible_counts(self, head: dict[str, Any], view: View) -> tuple[dict[str, int], int]:
        counts = dict(head["counts"]) | {"studies": 0, "instances": 0, "reports": 0}
        outside = 0
        async for entry in self._store.entries(str(head["id"]), MEMBER):
            shown, hidden = visible_entry(entry, view.scope)
            outside += hidden
            studies = shown.get("studies", ())
            counts["studies"] += len(studies)
            counts["instances"] += sum(each["instances"] for each in studies)
            counts["reports"] += len({each["id"] for study in studies for each in study.get("reports", ())})
        return counts, outside

    @staticmethod
    async def _add_files(entry: dict[str, Any], reader: Reader) -> None:
        """The instances of each study whose address is known (COH-29)."""
        studies = [each for each in entry.get("studies", ()) if "retrieve" in each]
        found = await reader.by_reference(each["id"] for each in studies)
        for each in studies:
            if each["id"] in found:
                each["files"] = files(found[each["id"]], each["retrieve"])


def _value_sets(form: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The path and the name of each value set of a canonical form."""
    return [
        (f"{path}.valueSet".strip("."), name) for path, each in _objects(form, "") for name in each.get("valueSet", ())
    ]


def _expansions(form: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The path and the URL of each value set that is expanded."""
    return [
        (f"{path}.expand.url".strip("."), each["expand"]["url"])
        for path, each in _objects(form, "")
        if "expand" in each
    ]


def _objects(value: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object of a document with its path."""
    if isinstance(value, Mapping):
        yield path, value
        for key, each in value.items():
            yield from _objects(each, f"{path}.{key}".strip("."))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _objects(each, f"{path}[{at}]")
