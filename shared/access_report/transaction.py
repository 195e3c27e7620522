"""data-safety §6 Access reports: who did what with which study of a patient, by the audit trail (PHI-2)."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from shared.access_report.request import ReportRequest
from shared.audit_files import records
from shared.dicomweb.partitions import Partition
from shared.errors import Forbidden, NotFound
from shared.http.caller import Caller
from shared.http.caller_shares import name_of
from shared.registry.patient_hashes import PatientHashes
from shared.study_updates.patients import Patient, PatientStudies
from shared.telemetry import pseudonym

MOST_ENTRIES: Final = 10_000
"""Of one report; who has more asks for fewer days."""
_UIDS: Final = {"studies": "study", "series": "series", "instances": "instance"}
_PATIENT_KEYS: Final = frozenset({"patientid", "00100020"})
_STUDY_KEYS: Final = frozenset({"studyinstanceuid", "0020000d", "studyuid"})


@dataclass(frozen=True, slots=True)
class Access:
    """One access. `outcome`: the status of the answer; None if there was none."""

    time: str
    who: str
    address: str
    operation: str
    study: str
    series: str
    instance: str
    outcome: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of a report."""

    hash: str
    studies: Collection[str]
    """Those of the patient that are stored, or were erased."""
    accesses: list[Access]
    truncated: bool
    """There are more."""


class AccessReports:
    """One per process. `folder`: where the audit trail is; None where nothing here can read it."""

    def __init__(self, studies: PatientStudies, hashes: PatientHashes, folder: Path | None) -> None:
        self._studies = studies
        self._hashes = hashes
        self._folder = folder

    @staticmethod
    def check_permitted(caller: Caller, partition: Partition) -> None:
        """Raises Forbidden unless the caller may do everything in the partition."""
        if not caller.permissions.all_in(partition.name):
            raise Forbidden("Authorization failed.")

    async def report(self, request: ReportRequest, partition: Partition) -> Report:
        """The report. Raises NotFound, Unavailable."""
        folder = self._folder
        if folder is None:
            raise NotFound(
                "The audit trail of this deployment is not kept where the service can read it.",
                remedy="Ask where it is kept: docs/operate/privacy.md has the query.",
            )
        patient = request.patient
        hashed = await self._hashes.of(partition.namespace, patient.identifier, patient.issuer)
        stored = await self._studies.find(partition, patient)

        def read() -> Report:
            erased = _erased(records(folder, request.first, request.last), hashed)
            look = _Look(patient, hashed, frozenset({*stored, *erased}), partition.name)
            found, truncated = look.accesses(records(folder, request.first, request.last))
            return Report(hashed, sorted(look.studies), found, truncated)

        return await asyncio.to_thread(read)


def _erased(trail: Iterable[Mapping[str, Any]], hashed: str) -> set[str]:
    """The studies of a patient that was erased: only audit records still say whose they were."""
    details = (each.get("details", {}) for each in trail)
    return {study for each in details if each.get("patient") == hashed for study in each.get("studies", ())}


@dataclass(frozen=True, slots=True)
class _Look:
    """The subject of a look into the audit trail."""

    patient: Patient
    hash: str
    studies: frozenset[str]
    partition: str

    def accesses(self, trail: Iterable[Mapping[str, Any]]) -> tuple[list[Access], bool]:
        """The accesses in records, by time, and whether there are more. A request has two records, and one if its
        process died.
        """
        found: dict[str, Access] = {}
        for record in trail:
            for access in self._of(record):
                key = f"{record.get('correlationId')} {access.operation} {access.study} {record['action'] == 'Detail'}"
                if key not in found or access.outcome is not None:
                    found[key] = access
                if len(found) > MOST_ENTRIES:
                    return sorted(found.values(), key=lambda each: each.time)[:MOST_ENTRIES], True
        return sorted(found.values(), key=lambda each: each.time), False

    def _of(self, record: Mapping[str, Any]) -> Iterator[Access]:
        details = record.get("details")
        if details is not None:
            if details.get("patient") == self.hash:
                yield self._access(record, {}, operation=f"{record.get('operation')} {details.get('event')}")
            return
        path, query = path_and_query(str(record.get("uri", "")))
        names = _path(path)
        if names.get("partitions", self.partition).casefold() != self.partition.casefold():
            return
        keys = _query(query)
        named = {*(names.get(each, "") for each in ("studies",)), *(keys.get("study", ()))} & self.studies
        if named or self._is_searched(keys.get("patient", ())):
            yield self._access(record, names, study=min(named, default=""))

    def _is_searched(self, values: Collection[str]) -> bool:
        """Whether a query string names the patient, also where the trail hashes values (AUD-7)."""
        identifier = self.patient.identifier
        return bool(
            {identifier, pseudonym(identifier), pseudonym(quote(identifier))} & {unquote(each) for each in values}
        )

    @staticmethod
    def _access(record: Mapping[str, Any], names: Mapping[str, str], *, study: str = "", operation: str = "") -> Access:
        claims = record.get("callerClaims") or {}
        address = str(record.get("callerIp", ""))
        status = record.get("statusCode")
        return Access(
            str(record.get("time", "")),
            name_of(claims, address) if claims or address else "",
            address,
            operation or str(record.get("operation", "")),
            study,
            names.get("series", ""),
            names.get("instances", ""),
            status if isinstance(status, int) else None,
        )


def path_and_query(uri: str) -> tuple[str, str]:
    """Of the URI of a record. Its host is what the caller has called the service, which need be no host."""
    path, _, query = uri.partition("#")[0].partition("?")
    return "/" + path.partition("://")[2].partition("/")[2], query


def _path(path: str) -> dict[str, str]:
    """The named segments of a path: what stands behind `studies`, `series`, `instances` and `partitions`."""
    segments = [unquote(each) for each in path.split("/") if each]
    pairs = pairwise(segments)
    return {name: value for name, value in pairs if name in (*_UIDS, "partitions")}


def _query(query: str) -> dict[str, list[str]]:
    """The values of the keys of a search that name a patient or a study."""
    found: dict[str, list[str]] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        kind = "patient" if name.lower() in _PATIENT_KEYS else "study" if name.lower() in _STUDY_KEYS else ""
        if kind:
            found.setdefault(kind, []).extend(unquote(value).replace("+", " ").split(","))
    return found
