"""PS3.18 §8.9 Descriptions of the resource table for the OpenAPI, WADL and conformance documents."""

from http import HTTPStatus

from shared.dicom.dictionary import keyword_of
from shared.dicomweb.documentation import Documentation
from shared.dicomweb.path_parameters import path_parameters
from shared.dicomweb.resource import Resource
from shared.dicomweb.resources import RESOURCES
from shared.dicomweb.versions import ApiVersion
from shared.index_schema.schema import BUILT_IN


def documented(version: ApiVersion, *, data_partitions: bool) -> list[tuple[Resource, Documentation, tuple[str, ...]]]:
    """The rows that documents show, with what is told of them and their methods in `version`."""
    return [
        (row, row.documentation, tuple(method for method in row.methods if row.exists_in(version, method)))
        for row in RESOURCES.values()
        if row.documentation is not None and (data_partitions or not row.lists_partitions)
    ]


def reason(status: int) -> str:
    """The standard phrase of a status."""
    return HTTPStatus(status).phrase


def matching_keys(resource: Resource) -> list[str]:
    """The attributes that a search resource can be searched by: those of its results and of their parents, unless the
    path has fixed them (dicomweb §8.1).
    """
    levels = ["study", "series", "instance"]
    results = {"studies": "study", "series": "series", "instances": "instance"}[resource.template.split("/")[-1]]
    fixed = path_parameters(resource.template)
    keys = search_keys()
    return [key for level in levels[: levels.index(results) + 1] if level not in fixed for key in keys[level]]


def search_keys() -> dict[str, list[str]]:
    """The attributes that can be searched by, per level: keywords, joined by a dot inside a sequence."""
    keys: dict[str, list[str]] = {"study": [], "series": [], "instance": []}
    for attribute in BUILT_IN.searchable.values():
        keys[attribute.level].append(".".join(keyword_of(int(tag, 16)) or tag for tag in attribute.key.split(".")))
    return keys
