"""The functions of WADO-RS and WADO-URI (PS3.18 §10.4, §9)."""

from collections.abc import Mapping
from typing import Any, Final

import azure.functions as func

from shared.dicomweb.document_rules import DocumentRules
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.transaction import Transaction, accepted, accepted_data_sets, nothing
from shared.retrieve.bulk.request import parse_value
from shared.retrieve.bulk.transaction import BulkTransactions
from shared.retrieve.byte_ranges import parse_range
from shared.retrieve.frames.request import parse_frames
from shared.retrieve.frames.transaction import FramesTransaction
from shared.retrieve.instances.functions import InstanceTransactions
from shared.retrieve.instances.zip_answer import ZipNames
from shared.retrieve.instances.zip_request import also_zip
from shared.retrieve.metadata.functions import MetadataTransaction
from shared.retrieve.metadata.request import parse_metadata
from shared.retrieve.rendered.request import parse_rendered, parse_thumbnail
from shared.retrieve.rendered.transaction import RenderedTransactions
from shared.retrieve.snapshot import Backend
from shared.retrieve.wado_uri import UriTransaction, parse_uri_request

_LEVELS: Final = ("study", "series", "instance")


def blueprint(
    boundary: Boundary, backend: Backend, documents: DocumentRules, *, zip_names: ZipNames = "attributes"
) -> func.Blueprint:
    """The functions of retrieve."""
    functions = func.Blueprint()
    found = transactions(backend, documents, zip_names=zip_names)
    for name, transaction in found.items():
        mount(functions, boundary, name, transaction)
    return functions


def transactions(
    backend: Backend, documents: DocumentRules, *, zip_names: ZipNames = "attributes"
) -> Mapping[str, Transaction[Any, Any]]:
    """The transactions by the names of their resources."""
    instances = InstanceTransactions(backend, zip_names)
    metadata = Transaction(
        parse_metadata,
        accepted_data_sets,
        MetadataTransaction(backend, documents).metadata,
    )
    bulk = BulkTransactions(backend)
    rendered, thumbnails = RenderedTransactions(backend, small=False), RenderedTransactions(backend, small=True)
    several = Transaction(also_zip(nothing), accepted, instances.several)
    return {
        "retrieve_study": several,
        "retrieve_series": several,
        "retrieve_instance": Transaction(also_zip(parse_range), accepted, instances.one),
        "retrieve_frames": Transaction(parse_frames, accepted, FramesTransaction(backend).frames),
        **{f"retrieve_{level}_metadata": metadata for level in _LEVELS},
        "retrieve_instance_bulk_value": Transaction(parse_value, accepted, bulk.value),
        **{f"retrieve_{level}_bulk_data": Transaction(nothing, accepted, bulk.bulk_data) for level in _LEVELS},
        **{f"retrieve_{level}_pixel_data": Transaction(nothing, accepted, bulk.pixel_data) for level in _LEVELS},
        "retrieve_by_query": Transaction(parse_uri_request, nothing, UriTransaction(instances, rendered).answer),
        "retrieve_study_rendered": Transaction(parse_rendered, accepted, rendered.several),
        "retrieve_series_rendered": Transaction(parse_rendered, accepted, rendered.several),
        "retrieve_instance_rendered": Transaction(parse_rendered, accepted, rendered.instance),
        "retrieve_frames_rendered": Transaction(parse_rendered, accepted, rendered.instance),
        "retrieve_study_thumbnail": Transaction(parse_thumbnail, accepted, thumbnails.several),
        "retrieve_series_thumbnail": Transaction(parse_thumbnail, accepted, thumbnails.several),
        "retrieve_instance_thumbnail": Transaction(parse_thumbnail, accepted, thumbnails.instance),
        "retrieve_frames_thumbnail": Transaction(parse_thumbnail, accepted, thumbnails.instance),
    }
