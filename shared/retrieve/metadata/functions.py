"""The transaction of metadata (PS3.18 §10.4.1.1.2)."""

from collections.abc import Collection
from dataclasses import dataclass

from shared import metrics
from shared.dicom.media_types import DICOM_JSON, DICOM_XML
from shared.dicomweb import multipart
from shared.dicomweb.document_rules import DocumentRules
from shared.http.messages import Response
from shared.http.transaction import Context
from shared.retrieve import response
from shared.retrieve.metadata.request import MetadataRequest
from shared.retrieve.metadata.transaction import MetadataRules, retrieve_metadata
from shared.retrieve.snapshot import Backend


@dataclass(frozen=True, slots=True)
class MetadataTransaction:
    """Retrieve Metadata of a study, a series or an instance."""

    backend: Backend
    documents: DocumentRules

    async def metadata(self, request: MetadataRequest, media_type: str, context: Context) -> Response:
        """A data set for each instance."""
        xml = media_type == DICOM_XML
        boundary = multipart.new_boundary() if xml else ""
        rules = MetadataRules(self.documents, context.version, context.urls, boundary, request.selection)
        scope = context.scope

        def tag_of(versions: Collection[int]) -> str:
            return response.resource_tag(scope, versions, original=context.original, xml=xml)

        archive = self.backend.archive(context.partition, original=context.original, within=context.confinement)
        found = await retrieve_metadata(
            archive, scope, rules, lambda versions: context.if_none_match.has(tag_of(versions))
        )
        tag = tag_of(found.versions)
        if found.body is None:
            return response.not_modified(tag, response.DATA_SET_CACHING)
        metrics.add(metrics.METADATA_RETRIEVED, len(found.versions))
        content_type = multipart.content_type(rules.boundary, DICOM_XML) if xml else DICOM_JSON
        return response.metadata(found.body, tag, content_type)
