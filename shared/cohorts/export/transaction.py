"""Starting the export of a cohort (COH-30)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.cohorts.export.source import COHORT
from shared.cohorts.manifest import scope_document
from shared.cohorts.transaction import Cohorts, View
from shared.deidentification.profile import Option
from shared.dicomweb.partitions import Partition
from shared.errors import Forbidden, InvalidRequest
from shared.export.destinations import DestinationRules
from shared.export.model import NewExport
from shared.export.records import ExportRecords
from shared.export.request import new_export
from shared.export.transaction import Exports
from shared.http.json_body import WHERE, invalid_field
from shared.operations.model import Operation

_MEMBERS: Final = ("destination", "identified", "files", "freeText")
_PROFILE: Final = {"profile": "basic", "options": [Option.DATES.value]}
"""Intervals are what a cohort is for: dates move, all of one patient by the same days."""


@dataclass(frozen=True, slots=True)
class CohortExportRequest:
    """A request to export a cohort."""

    export: NewExport
    files: bool
    texts: bool
    """Whether free texts of reports and codes stay."""

    @property
    def identified(self) -> bool:
        """Whether everything is exported as it is."""
        return self.export.profile is None


def export_of(document: Any, rules: DestinationRules) -> CohortExportRequest:
    """The export that a body asks for. Raises InvalidRequest."""
    if not isinstance(document, dict):
        raise InvalidRequest("The body must be an object with a destination.", where=WHERE)
    for name in document:
        if name not in _MEMBERS:
            raise invalid_field(str(name)[:64], "there is no such member.")
    identified, files = (_flag(document, name) for name in ("identified", "files"))
    texts = document.get("freeText", "drop")
    if texts not in ("drop", "keep"):
        raise invalid_field("freeText", "It must be one of the following values: ['drop', 'keep']")
    body = {"destination": document.get("destination")} | ({} if identified else {"deidentify": _PROFILE})
    return CohortExportRequest(new_export(body, rules), files, texts == "keep")


def _flag(document: Mapping[str, Any], name: str) -> bool:
    value = document.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid_field(name, "It must be true or false.")
    return bool(value)


class CohortExports:
    """Starts exports of cohorts."""

    def __init__(self, cohorts: Cohorts, exports: Exports, records: ExportRecords, rules: DestinationRules) -> None:
        self._cohorts = cohorts
        self._exports = exports
        self._records = records
        self._rules = rules

    async def start(self, cohort_id: str, document: Any, view: View, partition: Partition) -> Operation:
        """The operation that exports a cohort. Raises InvalidRequest, Forbidden, NotFound, Conflict, Unavailable."""
        request = export_of(document, self._rules)
        if (request.identified or request.texts) and not view.identified:
            raise Forbidden("Only a caller with the data action cohortIdentified may export who the patients are.")
        await self._cohorts.succeeded(cohort_id)
        key = None if request.identified else await self._records.lasting_key(f"cohort-{cohort_id}")
        operation = await self._exports.start_from(
            COHORT,
            request.export.destination,
            partition,
            settings={
                "cohort": cohort_id,
                "files": request.files,
                "texts": request.texts,
                "scope": scope_document(view.scope),
            },
            profile=request.export.profile,
            key=key,
        )
        await self._cohorts.note_export(cohort_id, operation.id)
        return operation
