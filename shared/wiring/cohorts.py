"""Settings → cohorts (cohorts §8): what a FHIR server is read by; imported only where there is one."""

import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from shared import telemetry
from shared.cohorts import functions
from shared.cohorts.clinical import clinical_data
from shared.cohorts.entries import normalised
from shared.cohorts.evaluation.codes import CodePair
from shared.cohorts.export.copies import Sources, cohort_copies
from shared.cohorts.export.source import COHORT, CohortSource
from shared.cohorts.export.transaction import CohortExports
from shared.cohorts.feedback.answers import Answers
from shared.cohorts.feedback.deliveries import ASKED, Deliveries, Told
from shared.cohorts.feedback.functions import event_functions
from shared.cohorts.feedback.models import models_of
from shared.cohorts.feedback.request import reader_reference
from shared.cohorts.feedback.transaction import Feedback, FeedbackSettings
from shared.cohorts.functions import Engine
from shared.cohorts.gathering.reader import Reader
from shared.cohorts.similar import WEIGHTS
from shared.cohorts.store import CohortStore
from shared.cohorts.terminology import Terminology
from shared.cohorts.terms import Terms
from shared.cohorts.timeline import Links
from shared.cohorts.transaction import Cohorts
from shared.cohorts.value_sets import shipped_value_sets
from shared.cohorts.work import CohortWork
from shared.errors import Misconfigured
from shared.export.copying import FileCopies
from shared.fhir.client import FhirClient, Retry
from shared.housekeeping import chores
from shared.operations.model import Operation, OperationType
from shared.outgoing.server import Server
from shared.outgoing.settings import server_settings
from shared.outgoing.sign_in import token_source
from shared.sections import Sections
from shared.settings import Settings
from shared.storage.ports import ForeignContainer
from shared.wiring.core import Core
from shared.wiring.exports import Exporting
from shared.wiring.part import Part

_ATTEMPTS = 4
"""Of a search, before its request or its step fails."""

_WINDOW_DAYS = 180
"""`Feedback:WindowDays`: half a year, in which pathology and follow-up examinations of a finding are done."""


def cohorts(core: Core, exporting: Exporting) -> Part:
    """Cohorts of the FHIR server that the settings name, and their export. Raises Misconfigured."""
    settings = core.settings
    server = server_settings("FHIR", settings.sections.below("Fhir"))
    client = FhirClient(
        Server(server, token_source(server.authentication, core.identity.credential)), retry=Retry(attempts=_ATTEMPTS)
    )
    sets = shipped_value_sets()
    terms = Terms(client, core.base.tables, sets, time.time)
    store = CohortStore(core.base.tables)
    section = settings.sections.below("Cohort")
    allowed = _allowed(settings.sections, settings)
    below = settings.sections.below("Feedback")
    audit = _Audit(core.audit(), server.endpoint)
    transactions = Cohorts(
        client, store, core.operations, terms, value_sets=sets, now=time.time, terminology=_terminology(core)
    )
    exports = _export(
        core, exporting, transactions, Sources(store, client, exporting.files, core.base.partitions, audit.cohort)
    )
    engine = Engine(
        transactions,
        terms,
        client,
        sets,
        Links(allowed, section.text("ViewerTemplate")),
        section.json("SimilarityWeights", dict[str, float](WEIGHTS), _weights),
        Answers(Feedback(client, core.base.tables, feedback_settings(below, allowed), time.time), audit.feedback),
        exports,
    )
    deliveries = _deliveries(core, engine.feedback.feedback, below, audit)
    hosts = frozenset(filter(None, (urlsplit(server.endpoint).netloc.lower(), urlsplit(server.endpoint).hostname)))
    return Part(
        functions=(
            functions.blueprint(core.boundary, engine),
            *((event_functions(deliveries.note, hosts),) if deliveries else ()),
        ),
        chores=(
            chores.collect_terms(terms.collect),
            *(
                (chores.deliver_feedback(deliveries.nightly), chores.deliver_due_feedback(deliveries.due))
                if deliveries
                else ()
            ),
        ),
        work={OperationType.COHORT: CohortWork(client, store, allowed, audit.cohort)},
        cohort_studies=transactions.studies_in,
        clinical_data=lambda *asked: clinical_data(Reader(client), *asked),
    )


def _deliveries(core: Core, feedback: Feedback, section: Sections, audit: "_Audit") -> Deliveries | None:
    """Deliveries that nobody asks for; None where no readers are named. Raises Misconfigured."""
    readers = [reader_reference(each) for each in section.words("Readers")]
    named = [each for each in readers if each is not None]
    if len(named) < len(readers):
        raise Misconfigured("The setting Feedback:Readers must be ids of Practitioners, or references.")
    if not named:
        return None
    told = Told(tuple(dict.fromkeys(named)), section.whole("WindowDays", _WINDOW_DAYS, low=1, high=36_500))
    return Deliveries(feedback, core.base.tables, told, lambda patients: audit.feedback(ASKED, {}, patients), time.time)


def _terminology(core: Core) -> Terminology | None:
    """The server that expands value sets; None where the settings name none. Raises Misconfigured."""
    section = core.settings.sections.below("Terminology")
    if not section.text("Endpoint"):
        return None
    server = server_settings("Terminology", section)
    tokens = token_source(server.authentication, core.identity.credential)
    return Terminology(FhirClient(Server(server, tokens), retry=Retry(attempts=_ATTEMPTS)))


def _export(core: Core, exporting: Exporting, transactions: Cohorts, sources: Sources) -> CohortExports | None:
    """Export of cohorts, as one more source of exports; None where exports are switched off."""
    store, records = sources.store, exporting.records

    async def copies(operation: Operation, container: ForeignContainer) -> FileCopies:
        return await cohort_copies(sources, records, operation, container)

    exporting.work.add(COHORT, partial(CohortSource, store, core.lookup, core.base.partitions), copies)
    if not exporting.enabled:
        return None
    return CohortExports(transactions, exporting.exports, records, exporting.rules)


def _allowed(sections: Sections, settings: Settings) -> frozenset[str]:
    """The bases that may stand in a result: by default the DICOMweb service itself."""
    own = sections.below("DicomWeb").text("Endpoint")
    named = sections.below("Cohort").words("AllowedEndpoints", (own,) if own else ())
    local = settings.host.partition(":")[0] in ("localhost", "127.0.0.1")
    scheme = "http" if local else "https"
    return frozenset(map(normalised, named or (f"{scheme}://{settings.host}/v2",)))


def feedback_settings(section: Sections, allowed: frozenset[str]) -> FeedbackSettings:
    """The settings `Feedback:…`. Raises Misconfigured."""
    return FeedbackSettings(
        section.whole("WindowDays", _WINDOW_DAYS, low=1, high=36_500),
        section.json("ProcedureSites", dict[CodePair, CodePair](), _sites_of_codes),
        section.json("Models", (), models_of),
        allowed,
    )


def _sites_of_codes(value: Any) -> dict[CodePair, CodePair] | None:
    """`{"system|code of a procedure": "system|code of a body site"}`."""
    if not isinstance(value, dict) or not all("|" in key and "|" in str(each) for key, each in value.items()):
        return None
    pairs = ((key.rpartition("|"), str(each).rpartition("|")) for key, each in value.items())
    return {(key[0], key[2]): (each[0], each[2]) for key, each in pairs}


def _weights(value: Any) -> dict[str, float] | None:
    known = isinstance(value, dict) and value.keys() <= WEIGHTS.keys()
    numbers = known and all(isinstance(each, int | float) and each >= 0 for each in value.values())
    return {**WEIGHTS, **value} if numbers else None


class _Audit:
    """A record of each patient whose data has been read into a result (COH-16)."""

    def __init__(self, log: telemetry.AuditLog, fhir: str) -> None:
        self._log = log
        self._fhir = fhir

    def cohort(self, cohort_id: str, head: Mapping[str, Any], patients: Sequence[str]) -> None:
        """Patients read by the run of a cohort."""
        told = {"cohort": cohort_id, "definitionHash": str(head["definitionHash"]), "asOf": str(head["asOf"])}
        self._write("cohort", cohort_id, head.get("claims", {}), patients, told)

    def feedback(self, asked: str, claims: Mapping[str, str], patients: Iterable[str]) -> None:
        """Patients read for a request for feedback."""
        self._write("feedback", "", claims, patients, {"resource": asked})

    def _write(
        self,
        operation: str,
        correlation: str,
        claims: Mapping[str, str],
        patients: Iterable[str],
        told: Mapping[str, str],
    ) -> None:
        for patient in patients:
            record = telemetry.AuditedRequest(operation, f"{self._fhir}/{patient}", "", correlation, "", claims, told)
            self._log.executed(record, 200)
