"""What the OpenAPI documents say against what the service does, by requests that schemathesis makes of them."""

import asyncio
import json
import re

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
)
READING = (*CHECKS, "unsupported_method", "allow_header_conformance", "positive_data_acceptance")
"""Not `negative_data_rejection`: `Accept: */*` beside `?accept=,` is still an acceptable request, and parameters that
are not named are matching keys or ignored.
"""
EVERY_PHASE = "coverage,fuzzing"
_SECONDS = 240
"""Most time for one document; each operation has some requests long before."""
_SECONDS_OF_CHANGES = 30
"""The same, of requests that store and delete."""
_TOO_LITTLE = 500
"""Requests of a run that looked at nothing."""
_TOO_FEW_CHANGES = 20
"""The same, of requests that store and delete."""
EXAMPLES = [f"1.2.826.0.1.3680043.8.498.{number}" for number in (1, 2, 3)]
"""The study, series and instance of the documents' examples: there is one, so that they answer with something."""
REJECTED = "Schema-valid request rejected"
KNOWN = {
    "names no attribute": "a schema does not list the keywords of the dictionary",
    "Unknown attribute": "the same, of metadata",
    "can only be retrieved as multipart/related": "that several frames need it stands in two parameters",
}
"""What answers say that refuse requests which fit the document, each with the reason why it cannot tell. All of it is
said in each run: what is not any more is to be taken out.
"""
BY_CHANCE = {
    "cannot be parsed into a valid Dicom Tag": "the same, of extended query tags",
    "An instance is retrieved whole": "contentType decides which other parameters WADO-URI takes",
    "It is for application/dicom only": "the same",
    "too large to be converted": "the numbers of a viewport are limited together",
    "The accepted transfer syntax is not supported": "a schema does not list those that an instance is converted to",
    "The URL is longer than": "the parameters of a request are limited together",
    "It must be later than the start time": "two parameters are compared",
    "The viewport shows no part of the image": "it depends on the image",
    "Its width and height are whole numbers of pixels": "their product is limited, too",
    "The requested range begins behind the end": "it depends on the value",
    "The query string included invalid characters": "parameters that are not named are written at random",
    "Only archives, of the type application/zip": "accept and dicomdir are looked at together",
    "It is no value of VR LO": "a schema does not count the characters of control that Unicode has",
    "A label has 1 to 64 letters": "nor which characters of Unicode are letters and digits",
    "curl -X HEAD": "an answer without a body does not say why: GET does, and takes the same",
    "curl -I": "the same",
}
"""The same, met in some runs only."""
_FAILURE = re.compile(r"^\d+\. Test Case ID: ", re.MULTILINE)
_TITLE = re.compile(r"^- ST\d+ (.+)$", re.MULTILINE)


def findings(text: str) -> tuple[list[str], set[str]]:
    """The failures in an output of schemathesis that nothing excuses, and the excuses that were needed."""
    told = text.partition("= FAILURES =")[2].partition("= WARNINGS =")[0].partition("= SUMMARY =")[0]
    found, needed = [], set()
    for failure in _FAILURE.split(told)[1:]:
        excuses = {piece for piece in (*KNOWN, *BY_CHANCE) if piece in failure}
        if set(_TITLE.findall(failure)) == {REJECTED} and excuses:
            needed |= excuses
        else:
            found.append(failure)
    return found, needed


async def requests_of(base, folder, *, checks, methods, phases, seconds):
    """What schemathesis finds with requests of these methods, as text and as its report."""
    process = await asyncio.create_subprocess_exec(
        ROOT / ".cache/openapi/bin/st", "run", f"{base}/api.json", "--url", base,
        "--checks", ",".join(checks), "--phases", phases, "--max-examples", "10",
        "--max-time", str(seconds), "--continue-on-failure", "--suppress-health-check", "all",
        "--request-timeout", "60", *(word for method in methods for word in ("--include-method", method)),
        "--report", "json", "--report-json-path", str(folder / "report.json"), "--no-color",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=folder,
    )  # fmt: skip  # read at once: one item a line says no more
    output, _ = await process.communicate()
    text = output.decode()
    report = json.loads((folder / "report.json").read_text())
    assert process.returncode in {0, 1}, text
    assert report["errors"] == [], text
    return text, report


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_the_service_does_what_its_openapi_document_says(fresh_service, tmp_path, version):
    service = await fresh_service()
    assert Client(service.url, version).post(*multipart([image(*EXAMPLES, frames=2).data])).status_code == 200
    base = f"{service.url}/{version}"

    text, report = await requests_of(
        base, tmp_path, checks=READING, methods=("GET", "HEAD", "OPTIONS"), phases=EVERY_PHASE, seconds=_SECONDS
    )
    found, needed = findings(text)
    assert bool(report["failures"]) == bool(found or needed), text
    assert found == [], text
    assert set(KNOWN) <= needed, text
    assert report["test_cases"]["generated"] > _TOO_LITTLE, text

    # Last, for they delete what the requests above ask for. Bodies of DICOM cannot be made up at random.
    for methods, phases in ((("DELETE",), EVERY_PHASE), (("POST", "PUT"), "coverage")):
        text, report = await requests_of(
            base, tmp_path, checks=CHECKS, methods=methods, phases=phases, seconds=_SECONDS_OF_CHANGES
        )
        assert report["failures"] == [], text
        assert report["test_cases"]["generated"] > _TOO_FEW_CHANGES, text
