"""PS3.18 §11.9.3 The response of a search of the worklist. Pure."""

from shared.dicom.media_types import DICOM_JSON
from shared.dicomweb import json_model
from shared.http.messages import Response
from shared.worklist.search.request import WorklistQuery
from shared.worklist.search.transaction import WorklistPage


def render(page: WorklistPage, query: WorklistQuery) -> Response:
    """200 with the data sets; 206 if one had to be left out; 204 if there are none (WQ-1 to WQ-4)."""
    if not page.workitems and not page.changed:
        return Response(204)
    data_sets = [
        json_model.dumps(
            {
                tag: element
                for tag, element in each.attributes.items()
                if query.returned is None or tag in query.returned
            }
        )
        for each in page.workitems
    ]
    return Response(206 if page.changed else 200, (("Content-Type", DICOM_JSON),), json_model.join(data_sets))
