"""What must be kept is written while its function runs: the host drops every other line."""

import asyncio
import json

import pytest
import requests

from shared.dicomweb.resources import RESOURCES
from tests.builders.files import file
from tests.builders.paths import VALUES, example_path

JSON = "application/dicom+json"


def audited(text):
    found = (line[line.find('{"action"') :] for line in text.splitlines() if '{"action":"Execut' in line)
    return [json.loads(line) for line in found]


@pytest.mark.spec("AUD-1", "AUD-8", "TEL-4")
async def test_both_audit_records_of_each_request_are_among_the_lines_that_the_host_keeps(fresh_service):
    service = await fresh_service(options=("--log-level", "INFO"))  # as on Azure
    one = file()
    uids = one.identifier
    names = {
        **VALUES,
        "study": uids.study_instance_uid,
        "series": uids.series_instance_uid,
        "instance": uids.sop_instance_uid,
        "frames": "1",
        "path": "7FE00010",
    }

    def ask_everything():
        sent = requests.post(
            f"{service.url}/v2/studies",
            one.data,
            headers={"Content-Type": "application/dicom", "Accept": JSON},
            timeout=60,
        )
        assert sent.status_code == 200
        asked = ["POST v2/studies"]
        rows = [row for row in RESOURCES.values() if row.audit and not {"POST", "PUT"} & {*row.methods}]
        rows = [
            row for row in rows if not (row.action or "").startswith(("cohort", "feedback"))
        ]  # they need a FHIR server
        for row in sorted(rows, key=lambda row: "DELETE" in row.methods):
            path = example_path(row.path(data_partitions=False), names)
            method = "DELETE" if "DELETE" in row.methods else "GET"
            requests.request(method, f"{service.url}/{path}", timeout=60, allow_redirects=False)
            asked.append(f"{method} {path}")
        return asked

    asked = await asyncio.to_thread(ask_everything)
    records = audited(service.kept_log_text)
    by_request = {}
    for record in records:
        by_request.setdefault(record["correlationId"], []).append(record["action"])
    assert len(by_request) == len(asked)
    assert [actions for actions in by_request.values() if actions != ["Executing", "Executed"]] == []
