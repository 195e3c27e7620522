"""The functions of cohorts, of timelines, of similar patients and of feedback."""

import asyncio
from dataclasses import dataclass
from datetime import date

import azure.functions as func

from shared.cohorts import response
from shared.cohorts.definition.reading import read_definition
from shared.cohorts.export.transaction import CohortExports
from shared.cohorts.feedback.answers import Answers
from shared.cohorts.feedback.request import accept_cases, accept_predictions, parse_model, parse_reader
from shared.cohorts.feedback.request import parse_body as parse_feedback
from shared.cohorts.gathering.reader import Reader
from shared.cohorts.language.translation import Translation, translate
from shared.cohorts.request import (
    ExportBody,
    ManifestRequest,
    Run,
    SimilarRequest,
    TimelineRequest,
    accept_timeline,
    as_of_member,
    parse_body,
    parse_cohort_id,
    parse_export,
    parse_manifest,
    parse_run,
    parse_similar,
    parse_timeline,
    question_of,
)
from shared.cohorts.similar import SMALL, Similarity
from shared.cohorts.store import new_key
from shared.cohorts.terms import Terms
from shared.cohorts.timeline import Links, timeline
from shared.cohorts.transaction import Cohorts, View
from shared.cohorts.value_sets import ValueSets
from shared.errors import Forbidden, NotFound
from shared.fhir.client import FhirClient
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.json_body import JsonBody
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, accepted_plain_json, nothing
from shared.operations.start import operation_started

_IDENTIFIED = "cohortIdentified"


@dataclass(frozen=True, slots=True)
class Engine:
    """Services that the functions use."""

    cohorts: Cohorts
    terms: Terms
    client: FhirClient
    value_sets: ValueSets
    links: Links
    weights: dict[str, float]
    feedback: Answers
    exports: CohortExports | None
    """None where nothing may be exported."""


def view_of(context: Context) -> View:
    """The view that the caller of a request has of a cohort (cohorts §8.11)."""
    identified = context.caller.permissions.scope(_IDENTIFIED)
    return View(identified, identified=True) if identified else View(context.visible, identified=False)


async def understand(terms: Terms, text: str, as_of: str | None, today: date) -> Translation:
    """The meaning of a question at this site; with words that nobody knows, also by what is new there."""
    found = await asyncio.to_thread(translate, text, await terms.dictionary(), today=today, as_of=as_of)
    if any(each.reason == "unknown" for each in found.unmatched):
        found = await asyncio.to_thread(translate, text, await terms.dictionary(look=True), today=today, as_of=as_of)
    return found


def blueprint(boundary: Boundary, engine: Engine) -> func.Blueprint:
    """The functions."""
    cohorts = engine.cohorts

    async def run(request: Run, _accepted: str, context: Context) -> Response:
        definition = read_definition(await request.body.read())
        if request.explain:
            return response.document(await cohorts.explain(definition))
        return operation_started(await cohorts.start(definition, context.caller.claims), context.urls)

    async def list_all(_parsed: None, _accepted: str, _context: Context) -> Response:
        return response.document(await cohorts.all())

    async def retrieve(cohort_id: str, _accepted: str, _context: Context) -> Response:
        return response.document(await cohorts.get(cohort_id))

    async def manifest(request: ManifestRequest, _accepted: str, context: Context) -> Response:
        pieces = await cohorts.manifest(request.cohort_id, view_of(context), with_files=request.with_files)
        return response.streamed(pieces)

    async def delete(cohort_id: str, _accepted: None, _context: Context) -> Response:
        await cohorts.delete(cohort_id)
        return Response(204)

    async def export(request: ExportBody, _accepted: str, context: Context) -> Response:
        if engine.exports is None:
            raise NotFound("Exports are switched off.")
        exportable = context.caller.permissions.scope("export")
        if not exportable:
            raise Forbidden("Authorization failed.")
        view = view_of(context)
        view = View(view.scope & exportable, identified=view.identified)
        document = await request.body.read()
        operation = await engine.exports.start(request.cohort_id, document, view, context.partition)
        return operation_started(operation, context.urls)

    async def translate_question(body: JsonBody, _accepted: str, _context: Context) -> Response:
        text, as_of = question_of(await body.read())
        today = date.fromisoformat(cohorts.today())
        return response.translation(await understand(engine.terms, text, as_of, today))

    async def show_timeline(request: TimelineRequest, media_type: str, context: Context) -> Response:
        found = await timeline(
            Reader(engine.client),
            request.patient_id,
            engine.links,
            context.visible,
            as_of=request.as_of,
            for_study=request.for_study,
        )
        return response.timeline_answer(found, media_type, engine.client.base)

    async def similar(request: SimilarRequest, _accepted: str, context: Context) -> Response:
        as_of = as_of_member(await request.body.read())
        search = Similarity(Reader(engine.client), engine.value_sets, engine.weights)
        hits = await search.find(request.patient_id, date.fromisoformat(as_of or cohorts.today()))
        identified = bool(context.caller.permissions.scope(_IDENTIFIED))
        return response.similar_answer(hits, new_key(), identified=identified, small=SMALL)

    functions = func.Blueprint()
    json = accepted_plain_json
    mount(functions, boundary, "run_cohort", Transaction(parse_run, json, run))
    mount(functions, boundary, "list_cohorts", Transaction(nothing, json, list_all))
    mount(functions, boundary, "translate_question", Transaction(parse_body, json, translate_question))
    mount(functions, boundary, "retrieve_cohort", Transaction(parse_cohort_id, json, retrieve))
    mount(functions, boundary, "retrieve_cohort_manifest", Transaction(parse_manifest, json, manifest))
    mount(functions, boundary, "export_cohort", Transaction(parse_export, json, export))
    mount(functions, boundary, "delete_cohort", Transaction(parse_cohort_id, nothing, delete))
    mount(functions, boundary, "retrieve_timeline", Transaction(parse_timeline, accept_timeline, show_timeline))
    mount(functions, boundary, "find_similar_patients", Transaction(parse_similar, json, similar))
    told = engine.feedback
    mount(functions, boundary, "retrieve_reader_feedback", Transaction(parse_reader, accept_cases, told.reader))
    mount(functions, boundary, "deliver_reader_feedback", Transaction(parse_feedback, json, told.deliver))
    mount(functions, boundary, "store_feedback", Transaction(parse_feedback, json, told.assess))
    mount(functions, boundary, "retrieve_model_feedback", Transaction(parse_model, accept_predictions, told.model))
    return functions
