"""PS3.18 §10.3 and Table 10.3-1: the transactions of the service, as one table.

A row is an Azure function, and all that is said of it: its URL, who may call it, how it is audited, what documents
tell. Routing, the boundary, audit records and the documents read the row; `shared.dicomweb.routes` matches requests.
"""

from collections.abc import Mapping

from shared.dicomweb import (
    cast_resources,
    cohort_resources,
    export_resources,
    feedback_resources,
    label_resources,
    privacy_resources,
    service_resources,
    share_resources,
    study_resources,
    tag_resources,
    update_resources,
    worklist_resources,
    worklist_rule_resources,
)
from shared.dicomweb.resource import Resource
from shared.dicomweb.service_resources import FALLBACK

RESOURCES: Mapping[str, Resource] = {
    row.name: row
    for row in (
        *study_resources.ROWS,
        *label_resources.ROWS,
        *update_resources.ROWS,
        *privacy_resources.ROWS,
        *tag_resources.ROWS,
        *export_resources.ROWS,
        *worklist_resources.ROWS,
        *worklist_rule_resources.ROWS,
        *cast_resources.ROWS,
        *cohort_resources.ROWS,
        *share_resources.ROWS,
        *feedback_resources.ROWS,
        *service_resources.ROWS,
        FALLBACK,
    )
}
