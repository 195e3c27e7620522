"""The audit trail, and the ordinary log that must hold nothing of it."""

import asyncio
import json
import logging

import pytest

from tests.builders.http import ALL, INSTANCE, PREFLIGHT, Stream, ask, boundary, content, lines, streaming


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    caplog.set_level(logging.INFO)


@pytest.mark.spec("HDR-9", "AUD-1", "AUD-2", "AUD-3")
@pytest.mark.parametrize(
    ("method", "target", "operation"),
    [
        ("POST", "/v2/studies", "store"),
        ("GET", INSTANCE, "retrieve"),
        ("GET", f"{INSTANCE}/frames/1", "retrieve"),
        ("GET", f"{INSTANCE}/metadata", "retrieve-metadata"),
        ("GET", "/v2/studies?PatientName=Doe", "query"),
        ("DELETE", "/v2/studies/1.2", "delete"),
        ("GET", "/v2/partitions", "partition"),
    ],
)
async def test_each_data_request_is_audited_at_its_start_and_its_end(caplog, method, target, operation):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    await ask(method, target, (*ALL, ("traceparent", f"00-{trace}-00f067aa0ba902b7-01")))

    start, end = lines(caplog, "dicom.audit")
    assert (start["action"], end["action"]) == ("Executing", "Executed")
    assert "statusCode" not in start
    assert end["statusCode"] == 200
    for record in (start, end):
        assert record["eventType"] == "AuditEvent"
        assert record["operation"] == operation
        assert record["uri"] == f"https://dicom.example{target}"
        assert record["correlationId"] == trace
        assert record["callerIp"] == "192.0.2.7"
        assert record["callerClaims"] == {"sub": "user-all"}


@pytest.mark.spec("AUD-1")
@pytest.mark.parametrize(
    ("headers", "status", "actions"),
    [((), 401, ["Executed"]), ((("Authorization", "Bearer delete"),), 403, ["Executing", "Executed"])],
)
async def test_refused_requests_are_audited_too(caplog, headers, status, actions):
    await ask("GET", "/v2/studies?PatientID=7", headers)

    records = lines(caplog, "dicom.audit")
    assert [record["action"] for record in records] == actions
    assert records[-1]["statusCode"] == status
    assert records[-1]["uri"].endswith("?PatientID=7")


@pytest.mark.spec("AUD-1", "TEL-4")
async def test_a_streamed_answer_is_audited_before_its_function_returns(caplog):
    response = await ask("GET", "/v2/studies/1.2", handler=streaming(Stream(b"x")))
    assert [record["action"] for record in lines(caplog, "dicom.audit")] == ["Executing", "Executed"]
    [line] = lines(caplog, "dicom.telemetry")
    assert (line["event"], line["streamed"], line["status"]) == ("transaction", True, 200)

    await content(response)
    assert len(lines(caplog, "dicom.audit")) == 2


@pytest.mark.spec("TEL-4")
async def test_what_happens_while_a_body_streams_is_told_by_the_next_invocation(caplog):
    await content(await ask("GET", "/v2/studies/1.2", handler=streaming(Stream(b"x"))))
    assert [line["event"] for line in lines(caplog, "dicom.telemetry")] == ["transaction"]

    await ask("DELETE", "/v2/studies/1.2")
    told = lines(caplog, "dicom.telemetry")
    assert [line["event"] for line in told] == ["transaction", "response-sent", "transaction"]
    assert told[1]["sent"] == 1


@pytest.mark.spec("AUD-1")
async def test_a_cancelled_request_is_audited(caplog):
    async def forever(request, context):
        await asyncio.Event().wait()

    task = asyncio.create_task(ask("DELETE", "/v2/studies/1.2", handler=forever))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [record.get("statusCode") for record in lines(caplog, "dicom.audit")] == [None, 499]


@pytest.mark.spec("AUD-6")
async def test_health_descriptions_and_preflights_are_not_audited(caplog):
    for method, target in (("GET", "/health/check"), ("GET", "/v2/api.yaml"), ("OPTIONS", "/v2/"), ("GET", "/nothing")):
        await ask(method, target, ())
    await ask("OPTIONS", "/v2/studies", PREFLIGHT)

    assert lines(caplog, "dicom.audit") == []


@pytest.mark.spec("HDR-3", "AUD-4")
async def test_custom_audit_headers_are_copied_into_both_records(caplog):
    custom = (("X-MS-AzureDicom-Audit-Study", "trial 7"), ("x-ms-azuredicom-audit-role", "a"))

    await ask("GET", "/v2/studies", (*ALL, *custom, ("X-Other", "no")))

    for record in lines(caplog, "dicom.audit"):
        assert record["customHeaders"] == {"x-ms-azuredicom-audit-study": "trial 7", "x-ms-azuredicom-audit-role": "a"}


@pytest.mark.spec("HDR-3", "AUD-4")
async def test_audit_headers_have_limits():
    def custom(count: int, length: int):
        return (*ALL, *((f"X-MS-AZUREDICOM-AUDIT-{number}", "x" * length) for number in range(count)))

    assert (await ask("GET", "/v2/studies", custom(10, 2048))).status == 200
    assert (await ask("GET", "/v2/studies", custom(11, 1))).status == 400
    assert (await ask("GET", "/v2/studies", custom(1, 2049))).status == 400


@pytest.mark.spec("HDR-3", "AUD-4")
async def test_the_prefix_of_audit_headers_is_a_setting(caplog):
    await ask("GET", "/v2/studies", (*ALL, ("X-Site-A", "1")), at=boundary(audit_header_prefix="X-Site-"))

    assert lines(caplog, "dicom.audit")[0]["customHeaders"] == {"x-site-a": "1"}


@pytest.mark.spec("AUD-2", "AUD-7")
@pytest.mark.parametrize(("kept", "query"), [("keep", "?PatientName=Doe&x"), ("drop", "")])
async def test_the_audit_trail_keeps_as_much_of_the_query_as_the_setting_says(caplog, kept, query):
    await ask("GET", "/v2/studies?PatientName=Doe&x", at=boundary(audit_query_values=kept))

    assert lines(caplog, "dicom.audit")[0]["uri"] == f"https://dicom.example/v2/studies{query}"


@pytest.mark.spec("AUD-2", "AUD-7")
async def test_a_credential_that_a_client_puts_into_a_query_is_never_kept(caplog):
    query = "PatientName=Doe&access_token=a.b.c&TOKEN=d&%63ode=e&sig=f&token"
    await ask("GET", f"/v2/studies?{query}", at=boundary(audit_query_values="keep"))

    for line in lines(caplog, "dicom.audit"):
        assert line["uri"].partition("?")[2] == "PatientName=Doe&access_token=&TOKEN=&%63ode=&sig=&token"


@pytest.mark.spec("AUD-7")
async def test_the_audit_trail_can_hold_hashed_query_values(caplog):
    await ask("GET", "/v2/studies?PatientName=Doe&PatientID=Doe&x", at=boundary(audit_query_values="hash"))

    query = lines(caplog, "dicom.audit")[0]["uri"].partition("?")[2]
    (name, first), (other, second), (last, _) = (pair.split("=") for pair in query.split("&"))
    assert (name, other, last) == ("PatientName", "PatientID", "x")
    assert first == second
    assert "Doe" not in query


@pytest.mark.spec("AUD-7", "WK-6", "WS-3")
@pytest.mark.parametrize("query", ["1.2.840", "1.2.840=", "%31.2.840"])
async def test_a_uid_that_is_the_name_of_a_parameter_counts_as_a_value(caplog, query):
    await ask("POST", f"/v2/workitems/1.9?{query}", at=boundary(audit_query_values="keep"))
    await ask("POST", f"/v2/workitems/1.9?{query}", at=boundary(audit_query_values="hash"))

    kept, _, hashed, _ = (line["uri"].partition("?")[2] for line in lines(caplog, "dicom.audit"))
    assert kept == query
    assert len(hashed) == 16
    assert ".2.840" not in hashed


@pytest.mark.spec("AUD-7", "TEL-3", "TEL-2")
async def test_the_ordinary_log_has_no_query_and_no_plain_uid(caplog):
    await ask("GET", "/v2/studies/1.2.840/series?Modality=CT&PatientName=Doe", (*ALL, ("User-Agent", "viewer")))

    (line,) = lines(caplog, "dicom.telemetry")
    assert (line["event"], line["function"], line["status"]) == ("transaction", "search_study_series", 200)
    assert (line["apiVersion"], line["userAgent"], line["partitions"], line["sent"]) == (2, "viewer", False, 5)
    assert line["export"] is True
    assert len(line["study"]) == 16
    for secret in ("1.2.840", "Doe", "Modality"):
        assert secret not in json.dumps(line)


@pytest.mark.spec("TEL-3")
async def test_uids_are_logged_as_they_are_only_where_a_setting_allows_it(caplog):
    await ask("GET", "/v2/studies/1.2.840/metadata", at=boundary(log_uids=True))
    await ask("GET", "/v2/studies/Doe-Jane/metadata", at=boundary(log_uids=True))

    first, second = lines(caplog, "dicom.telemetry")
    assert first["study"] == "1.2.840"
    assert "study" not in second
