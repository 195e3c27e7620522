"""The transactions on studies, series and instances (PS3.18 §10.4 to §10.6; azure-apis §2): rows of the table."""

from typing import Final

from shared.dicomweb import study_documentation as told
from shared.dicomweb.documentation import Documentation
from shared.dicomweb.resource import READ, Resource, UnderShare
from shared.dicomweb.versions import ApiVersion

_STUDY = "studies/{study}"
_SERIES = "studies/{study}/series/{series}"
_INSTANCE = "studies/{study}/series/{series}/instances/{instance}"


def _store(name: str, template: str, summary: str) -> Resource:
    put = {"PUT": ApiVersion.V2}
    methods = ("POST", "PUT")
    return Resource(name, methods, template, "write", "store", summary, told.STORE, create_partition=True, since=put)


def _retrieve(
    name: str, template: str, summary: str, documentation: Documentation, *, share: UnderShare = "download"
) -> Resource:
    return Resource(name, READ, template, "read", "retrieve", summary, documentation, under_share=share)


def _metadata(name: str, template: str, summary: str) -> Resource:
    path = f"{template}/metadata"
    return Resource(name, READ, path, "read", "retrieve-metadata", summary, told.METADATA, under_share="any")


def _bulk(name: str, template: str, summary: str) -> Resource:
    """All bulk data, or all pixel data, of a study, series or instance."""
    values = "pixeldata" if name.endswith("pixel_data") else "bulkdata"
    return _retrieve(name, f"{template}/{values}", summary, told.BULK_DATA)


def _picture(name: str, template: str, summary: str, documentation: Documentation) -> Resource:
    return Resource(name, READ, template, "read", "retrieve-rendered", summary, documentation, under_share="any")


def _rendered(name: str, template: str, summary: str) -> Resource:
    return _picture(name, f"{template}/rendered", summary, told.RENDERED)


def _thumbnail(name: str, template: str, summary: str) -> Resource:
    return _picture(name, f"{template}/thumbnail", summary, told.THUMBNAIL)


def _search(name: str, template: str, summary: str) -> Resource:
    return Resource(name, READ, template, "read", "query", summary, told.SEARCH, under_share="any")


def _delete(name: str, template: str, summary: str) -> Resource:
    return Resource(name, ("DELETE",), template, "delete", "delete", summary, told.DELETE)


ROWS: Final = (
    _store("store_studies", "studies", "Store instances (STOW-RS); PUT replaces existing ones"),
    _store("store_study", _STUDY, "Store instances of one study; PUT replaces existing ones"),
    _retrieve("retrieve_study", _STUDY, "Retrieve the instances of a study (WADO-RS)", told.INSTANCES),
    _retrieve("retrieve_series", _SERIES, "Retrieve the instances of a series", told.INSTANCES),
    _retrieve("retrieve_instance", _INSTANCE, "Retrieve an instance", told.INSTANCE),
    _retrieve(
        "retrieve_frames",
        f"{_INSTANCE}/frames/{{frames}}",
        "Retrieve frames of an instance",
        told.FRAMES,
        share="any",
    ),
    _metadata("retrieve_study_metadata", _STUDY, "Metadata of a study"),
    _metadata("retrieve_series_metadata", _SERIES, "Metadata of a series"),
    _metadata("retrieve_instance_metadata", _INSTANCE, "Metadata of an instance"),
    _bulk("retrieve_study_bulk_data", _STUDY, "Retrieve the bulk data of a study"),
    _bulk("retrieve_series_bulk_data", _SERIES, "Retrieve the bulk data of a series"),
    _bulk("retrieve_instance_bulk_data", _INSTANCE, "Retrieve the bulk data of an instance"),
    _retrieve(
        "retrieve_instance_bulk_value",
        f"{_INSTANCE}/bulkdata/{{*path}}",
        "Retrieve one bulk value",
        told.BULK_VALUE,
    ),
    _bulk("retrieve_study_pixel_data", _STUDY, "Retrieve the pixel data of a study"),
    _bulk("retrieve_series_pixel_data", _SERIES, "Retrieve the pixel data of a series"),
    _bulk("retrieve_instance_pixel_data", _INSTANCE, "Retrieve the pixel data of an instance"),
    _rendered("retrieve_study_rendered", _STUDY, "Retrieve a study as pictures"),
    _thumbnail("retrieve_study_thumbnail", _STUDY, "Retrieve a small picture of a study"),
    _rendered("retrieve_series_rendered", _SERIES, "Retrieve a series as pictures"),
    _thumbnail("retrieve_series_thumbnail", _SERIES, "Retrieve a small picture of a series"),
    _rendered("retrieve_instance_rendered", _INSTANCE, "Retrieve an instance as pictures"),
    _thumbnail("retrieve_instance_thumbnail", _INSTANCE, "Retrieve a small picture of an instance"),
    _rendered("retrieve_frames_rendered", f"{_INSTANCE}/frames/{{frames}}", "Retrieve frames as pictures"),
    _thumbnail("retrieve_frames_thumbnail", f"{_INSTANCE}/frames/{{frames}}", "Small pictures of frames"),
    _retrieve(
        "retrieve_by_query",
        "wado",
        "Retrieve an instance, or a picture of it, by query (WADO-URI)",
        told.WADO_URI,
        share="any",  # of a picture; it gives instances only under those that allow downloads
    ),
    _search("search_studies", "studies", "Search for studies (QIDO-RS)"),
    _search("search_series", "series", "Search for series"),
    _search("search_instances", "instances", "Search for instances"),
    _search("search_study_series", f"{_STUDY}/series", "Search for the series of a study"),
    _search("search_study_instances", f"{_STUDY}/instances", "Search for the instances of a study"),
    _search("search_series_instances", f"{_SERIES}/instances", "Search for the instances of a series"),
    _delete("delete_study", _STUDY, "Delete a study"),
    _delete("delete_series", _SERIES, "Delete a series"),
    _delete("delete_instance", _INSTANCE, "Delete an instance"),
)
