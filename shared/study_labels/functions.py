"""The functions of labels (exchange §5)."""

import asyncio
from typing import Any, Final

import azure.functions as func
import orjson

from shared.dicom.media_types import JSON_UTF_8
from shared.errors import NotFound
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.json_body import JsonBody
from shared.http.messages import Response
from shared.http.transaction import Context, Transaction, accepted_plain_json, nothing
from shared.index.lookup import InstanceLookup
from shared.index_schema import keys
from shared.storage.ports import TableStore
from shared.study_documents.labels import StudyLabels
from shared.study_labels.in_use import labels_in_use
from shared.study_labels.request import label_change, parse_change, parse_studies

_READS_AT_ONCE: Final = 32
_INCOMPLETE: Final = "There are more labels than could be counted."


def blueprint(
    boundary: Boundary, labels: StudyLabels, lookup: InstanceLookup, tables: TableStore, *, shards: int
) -> func.Blueprint:
    """The functions of labels. `shards` is the number of shards of the index."""

    async def update(body: JsonBody, _accepted: str, context: Context) -> Response:
        place = keys.study_place(context.partition.namespace, context.uids["study"], shards)
        changed = await labels.change(place, label_change(await body.read()))
        return _answer({"labels": changed})

    async def retrieve(_parsed: None, _accepted: str, context: Context) -> Response:
        view = await lookup.study(context.partition, context.uids["study"])
        if view is None:
            raise NotFound("The study does not exist.")
        return _answer({"labels": view.labels})

    async def list_all(studies: tuple[str, ...] | None, _accepted: str, context: Context) -> Response:
        if studies is None:
            found = await labels_in_use(tables, context.partition.namespace, shards=shards)
            uses = [
                {"label": each.label, "studies": each.studies, **({"more": True} if each.more else {})}
                for each in found.labels
            ]
            return _answer(uses, *(() if found.whole else (context.warning(_INCOMPLETE),)))
        slots = asyncio.Semaphore(_READS_AT_ONCE)

        async def read(study: str) -> dict[str, Any] | None:
            async with slots:
                view = await lookup.study(context.partition, study)
            return None if view is None else {"studyInstanceUid": study, "labels": view.labels}

        return _answer([each for each in await asyncio.gather(*map(read, studies)) if each])

    functions = func.Blueprint()
    mount(functions, boundary, "update_study_labels", Transaction(parse_change, accepted_plain_json, update))
    mount(functions, boundary, "retrieve_study_labels", Transaction(nothing, accepted_plain_json, retrieve))
    mount(functions, boundary, "list_labels", Transaction(parse_studies, accepted_plain_json, list_all))
    return functions


def _answer(document: Any, *fields: tuple[str, str]) -> Response:
    headers = (("Content-Type", JSON_UTF_8), ("Cache-Control", "no-store"), *fields)
    return Response(200, headers, orjson.dumps(document))
