"""PS3.18 §8.9 Retrieve Capabilities (CAP-1), and the same facts as JSON (CAP-2)."""

from collections.abc import Iterable, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from shared.capabilities.descriptions import documented, matching_keys, search_keys
from shared.dicom.media_types import ANY, ANY_APPLICATION, DICOM_JSON, JSON, TEXT_XML, WADL, XML
from shared.dicom.transfer_syntaxes import FRAME_TARGETS, REVERSIBLE_TARGETS, SOURCES
from shared.dicomweb import versions
from shared.dicomweb.content_negotiation import MediaType
from shared.dicomweb.path_parameters import path_parameters
from shared.dicomweb.query_parameters import DEFAULT_LIMIT, MAX_LIMIT
from shared.dicomweb.versions import ApiVersion
from shared.errors import NotAcceptable
from shared.settings import Settings
from shared.version import running_version

_WADL_TYPES = (WADL, XML, TEXT_XML, ANY_APPLICATION, ANY)
_JSON_TYPES = (DICOM_JSON, JSON)


def negotiate_capabilities(accept: Iterable[MediaType]) -> str:
    """WADL unless the client prefers JSON. Raises NotAcceptable if it wants neither."""
    best: tuple[float, str] = (0.0, "")
    for value in accept:
        sent = WADL if value.type in _WADL_TYPES else value.type if value.type in _JSON_TYPES else ""
        if sent and value.quality > best[0]:
            best = (value.quality, sent)
    if not best[1]:
        raise NotAcceptable("Capabilities are available as application/vnd.sun.wadl+xml and application/dicom+json.")
    return best[1]


def conformance(settings: Settings, version: ApiVersion, segment: str, *, store_id: str | None) -> dict[str, Any]:
    """The abilities of this deployment in `version`: features, limits, resources, transfer syntaxes, search keys.

    `store_id` tells the store from every other one, whatever its URL is: a client that remembers what it has done
    keeps that by store. None: the store does not answer at present.
    """
    return {
        "apiVersion": segment,
        **running_version(),
        **({} if store_id is None else {"storeId": store_id}),
        "supportedVersions": versions.SUPPORTED.split(", "),
        "features": {
            "dataPartitions": settings.data_partitions,
            "upsert": version.upserts,
            "studyExpiry": version.expires_studies,
            "bulkDataUris": version.emits_bulk_data_uri and settings.bulk_data_uris,
            "fullItemValidation": settings.full_item_validation,
            "fuzzyMatching": True,
            "wildcardMatching": True,
            "conditionalRetrieve": True,
            "transcoding": True,
            "rendering": True,
            "events": bool(settings.events_topic),
            "crossOriginRequests": bool(settings.cors_origins),
        },
        "limits": {
            "requestBytes": settings.max_request_bytes,
            "fileBytes": settings.max_file_bytes,
            "transcodingBytes": settings.max_transcode_bytes,
            "searchDefault": DEFAULT_LIMIT,
            "searchMaximum": MAX_LIMIT,
            "partitionNameCharacters": 64,
            "auditHeaders": 10,
            "auditHeaderCharacters": 2048,
        },
        "transferSyntaxes": {
            "store": ["*"],
            "retrieve": ["*", *sorted(REVERSIBLE_TARGETS)],
            "retrieveFrames": ["*", *sorted(FRAME_TARGETS)],
            "transcodable": sorted(SOURCES),
        },
        "searchKeys": search_keys(),
        "resources": [
            {
                "name": row.name,
                "path": "/"
                + row.path(data_partitions=settings.data_partitions).replace("{version}", segment).replace("{*", "{"),
                "methods": methods,
                "consumes": told.consumes,
                "produces": told.produces,
            }
            for row, told, methods in documented(version, data_partitions=settings.data_partitions)
        ],
    }


def wadl(settings: Settings, version: ApiVersion, *, base: str, segment: str) -> bytes:
    """The Web Application Description of `version`."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<application xmlns="http://wadl.dev.java.net/2009/02" xmlns:xsd="http://www.w3.org/2001/XMLSchema">',
        f"  <resources base={quoteattr(base + '/')}>",
    ]
    for row, told, methods in documented(version, data_partitions=settings.data_partitions):
        path = row.path(data_partitions=settings.data_partitions).replace("{version}", segment).replace("{*", "{")
        lines.append(f"    <resource path={quoteattr(path)}>")
        lines += (
            f'      <param name={quoteattr(name)} style="template" type="xsd:string"/>'
            for name in path_parameters(path)
        )
        for method in methods:
            names = [parameter.name for parameter in told.parameters_in(version) if parameter.place == "query"]
            names += matching_keys(row) if row.audit == "query" else ()
            lines += (
                f'      <method name="{method}" id={quoteattr(f"{row.name}_{method.lower()}")}>',
                "        <request>",
                *(f'          <param name={quoteattr(name)} style="query" type="xsd:string"/>' for name in names),
                *_representations(told.consumes),
                "        </request>",
                f'        <response status="{" ".join(map(str, told.successes))}">',
                *_representations(told.produces),
                "        </response>",
                f'        <response status="{" ".join(map(str, told.failures))}"/>' if told.failures else "",
                "      </method>",
            )
        lines.append("    </resource>")
    lines += ("  </resources>", "</application>", "")
    return "\n".join(line for line in lines if line).encode() + b"\n"


def _representations(media_types: Sequence[str]) -> list[str]:
    return [f"          <representation mediaType={quoteattr(media_type)}/>" for media_type in media_types]
