"""What the OpenAPI documents say against what the service does, by requests that schemathesis makes of them."""

import asyncio
import json

import pytest

from tests.builders.images import image, multipart
from tests.conformance.stores import Client
from tests.conftest import ROOT

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
"""Not `positive_data_acceptance`, nor its opposite: a schema cannot say that startTime is before endTime, that a view
is small enough, which keywords are attributes, or that `Accept: */*` beside `?accept=,` is still an acceptable request.
"""
_SECONDS = 240
"""Most time for one document; each operation has some requests long before."""
_TOO_LITTLE = 500
"""Requests of a run that looked at nothing."""
EXAMPLES = [f"1.2.826.0.1.3680043.8.498.{number}" for number in (1, 2, 3)]
"""The study, series and instance of the documents' examples: there is one, so that they answer with something."""
KNOWN: dict[tuple[str, str], str] = {}
"""Failures that are no fault of the service, by operation and check, each with its reason."""


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_the_service_does_what_its_openapi_document_says(fresh_service, tmp_path, version):
    service = await fresh_service()
    assert Client(service.url, version).post(*multipart([image(*EXAMPLES, frames=2).data])).status_code == 200
    base = f"{service.url}/{version}"

    process = await asyncio.create_subprocess_exec(
        ROOT / ".cache/openapi/bin/st", "run", f"{base}/api.json", "--url", base,
        "--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--max-examples", "10",
        "--max-time", str(_SECONDS), "--continue-on-failure", "--suppress-health-check", "all",
        "--request-timeout", "60",
        "--include-method", "GET", "--include-method", "HEAD", "--include-method", "OPTIONS",
        "--report", "json", "--report-json-path", str(tmp_path / "report.json"), "--no-color",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=tmp_path,
    )  # fmt: skip
    output, _ = await process.communicate()
    text = output.decode()

    report = json.loads((tmp_path / "report.json").read_text())
    found = {(operation, failure["type"]) for failure in report["failures"] for operation in failure["operations"]}

    assert process.returncode in {0, 1}, text
    assert report["errors"] == [], text
    assert found - set(KNOWN) == set(), text
    assert report["test_cases"]["generated"] > _TOO_LITTLE, text
