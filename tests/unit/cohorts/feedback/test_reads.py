"""What became of the reads of a reader: links, coverage, deliveries, assessments."""

import csv
import io

import orjson
import pytest

from shared.outgoing.failures import Failure, RequestFailed
from tests.builders.cohort_runs import Site
from tests.builders.http import content, error, field
from tests.builders.osteosarcoma import READ_BY_TELE_1, SNOMED, outcomes_of_rep_1, report

FOOT = {"system": SNOMED, "code": "56459004"}
TARGET = "/v2/feedback/reader?practitioner=tele-1"


@pytest.fixture
def site():
    found = Site()
    for each in outcomes_of_rep_1():
        found.server.put(each)
    return found


async def cases(site, target=TARGET, **how):
    answer = await site.ask("retrieve_reader_feedback", "GET", target, **how)
    assert answer.status == 200
    return orjson.loads(await content(answer))


async def outcomes(site, target=TARGET):
    (case,) = (await cases(site, target))["cases"]
    return [(each["outcome"], each["strength"]) for each in case["outcomes"]]


def procedure(known, **members):
    return {
        "resourceType": "Procedure",
        "id": known,
        "status": "completed",
        "code": {"text": known},
        "subject": {"reference": "Patient/pat-1"},
        "performedDateTime": "2025-03-10",
        **members,
    }


def diagnosis(verification, **members):
    return {
        "resourceType": "Condition",
        "id": "new",
        "subject": {"reference": "Patient/pat-1"},
        "code": {"text": "metastasis"},
        "verificationStatus": {"coding": [{"code": verification}]},
        **members,
    }


@pytest.mark.spec("COH-14", "COH-33")
async def test_a_biopsy_that_names_the_report_and_pathology_without_a_link(site):
    assert await cases(site) == {
        "cases": [
            {
                "report": "DiagnosticReport/rep-1",
                "study": "ImagingStudy/img-1",
                "text": "Text of the report.",
                "outcomes": [
                    {
                        "outcome": "Procedure/biopsy-1",
                        "strength": "explicit",
                        "date": "2025-03-05",
                        "text": "biopsy",
                    },
                    {
                        "outcome": "DiagnosticReport/path-1",
                        "strength": "time",
                        "date": "2025-03-05",
                        "text": "High-grade osteosarcoma.",
                    },
                ],
            }
        ],
        "coverage": "1 of 1",
    }


@pytest.mark.spec("COH-33")
@pytest.mark.parametrize("practitioner", ["tele-1", "Practitioner/tele-1"])
@pytest.mark.parametrize(("since", "count"), [("2025-02-12", 1), ("2025-02-13", 0)])
async def test_a_reader_is_an_id_or_a_reference_and_since_is_compared_with_the_day_of_the_report(
    site, practitioner, since, count
):
    found = await cases(site, f"/v2/feedback/reader?practitioner={practitioner}&since={since}")

    assert (len(found["cases"]), found["coverage"]) == (count, f"{count} of {count}")


@pytest.mark.spec("COH-33")
async def test_the_performer_is_the_reader_where_nobody_is_named_as_interpreter(site):
    site.server.put({**report(2), "performer": [{"reference": "Practitioner/tele-1"}]})
    other = {"performer": [{"reference": "Practitioner/tele-1"}]}
    site.server.put({**report(3), **other, "resultsInterpreter": [{"reference": "Practitioner/x"}]})

    found = await cases(site)
    assert [(each["report"], each["study"]) for each in found["cases"]] == [
        ("DiagnosticReport/rep-1", "ImagingStudy/img-1"),
        ("DiagnosticReport/rep-2", "ImagingStudy/img-2"),
    ]
    assert found["coverage"] == "1 of 2"


@pytest.mark.spec("COH-33")
@pytest.mark.parametrize(
    ("day", "counts"),
    [
        ("2025-02-12", False),  # the day of the report
        ("2025-02-13", True),
        ("2025-08-11", True),  # 180 days later
        ("2025-08-12", False),
        ("2025-04", True),
        ("2024", False),
    ],
)
async def test_the_window_begins_after_the_report_and_ends_with_its_last_day(site, day, counts):
    site.server.put(procedure("later", performedDateTime=day))

    assert (("Procedure/later", "time") in await outcomes(site)) == counts


@pytest.mark.spec("COH-33")
async def test_an_outcome_whose_date_does_not_decide_is_counted(site):
    site.server.put(procedure("sometime", performedDateTime="2025"))

    found = await cases(site)
    assert len(found["cases"][0]["outcomes"]) == 2
    assert found["warnings"] == ["1 outcomes have a date that does not tell whether they lie in the window"]


@pytest.mark.spec("COH-14", "COH-33")
@pytest.mark.parametrize(
    "members",
    [
        {"report": [{"reference": "DiagnosticReport/rep-1"}]},
        {"reasonReference": [{"reference": "ImagingStudy/img-1"}]},
        {"reasonReference": [{"reference": "Observation/nodule"}]},
        {"basedOn": [{"reference": "ServiceRequest/order"}]},
    ],
)
async def test_references_that_lead_to_the_report_or_its_study_are_explicit(site, members):
    subject = {"reference": "Patient/pat-1"}
    reason = [{"reference": "DiagnosticReport/rep-1"}]
    site.server.put({"resourceType": "Observation", "id": "nodule", "subject": subject, "focus": reason})
    site.server.put({"resourceType": "ServiceRequest", "id": "order", "subject": subject, "reasonReference": reason})
    site.server.put(procedure("linked", **members))

    assert ("Procedure/linked", "explicit") in await outcomes(site)


@pytest.mark.spec("COH-14", "COH-33")
async def test_a_body_site_that_both_have_is_weaker_than_a_reference_and_stronger_than_time(site):
    site.server.resources["ImagingStudy", "img-1"]["series"][0]["bodySite"] = FOOT
    site.server.put(procedure("there", bodySite=[{"coding": [FOOT]}]))
    site.server.put(procedure("coded", code={"coding": [{"system": "urn:ops", "code": "1-503"}]}))
    site.sites_of_codes[("urn:ops", "1-503")] = (SNOMED, FOOT["code"])

    assert await outcomes(site) == [
        ("Procedure/biopsy-1", "explicit"),
        ("Procedure/coded", "site"),
        ("Procedure/there", "site"),
        ("DiagnosticReport/path-1", "time"),
    ]


@pytest.mark.spec("COH-33")
async def test_a_later_report_counts_where_both_studies_have_a_body_site_in_common(site):
    assert ("DiagnosticReport/rep-3", "site") not in await outcomes(site)  # of unknown regions

    for name in ("img-1", "img-3"):
        site.server.resources["ImagingStudy", name]["series"][0]["bodySite"] = FOOT
    assert ("DiagnosticReport/rep-3", "site") in await outcomes(site)


@pytest.mark.spec("COH-33")
async def test_a_diagnosis_counts_by_the_day_on_which_it_became_confirmed(site):
    site.server.now = "2025-02-20T10:00:00Z"
    site.server.put(diagnosis("provisional", recordedDate="2025-01-01"))
    site.server.now = "2025-04-01T10:00:00Z"
    site.server.put(diagnosis("confirmed", recordedDate="2025-01-01"))

    (case,) = (await cases(site))["cases"]
    assert case["outcomes"][2] == {
        "outcome": "Condition/new",
        "strength": "time",
        "date": "2025-04-01T10:00:00Z",
        "text": "metastasis",
        "knownBy": "history",
    }


@pytest.mark.spec("COH-33")
@pytest.mark.parametrize("offered", [True, False])
async def test_a_diagnosis_that_was_confirmed_from_the_beginning_counts_by_the_day_it_was_recorded(site, offered):
    if not offered:
        site.server.histories = None
    site.server.put(diagnosis("confirmed", recordedDate="2025-03-15"))

    (case,) = (await cases(site))["cases"]
    told = [(each["date"], each["knownBy"]) for each in case["outcomes"] if each["outcome"] == "Condition/new"]
    assert told == [("2025-03-15", "recordedDate")]


@pytest.mark.spec("COH-33")
@pytest.mark.parametrize(
    "resource",
    [
        procedure("x", status="in-progress"),
        diagnosis("provisional", recordedDate="2025-03-15"),
        {**report(4), "id": "x", "subject": {"reference": "Patient/pat-1"}, "effectiveDateTime": "2025-03-15"},
    ],
)
async def test_what_decides_nothing_is_no_outcome(site, resource):
    site.server.put(resource)

    assert len(await outcomes(site)) == 2


async def test_a_report_without_a_study_is_no_case(site):
    lone = {**report(4), **READ_BY_TELE_1, "id": "lone", "basedOn": []}
    site.server.put(lone)

    found = await cases(site)
    assert (len(found["cases"]), found["warnings"]) == (
        1,
        ["1 reports have no ImagingStudy and are left out"],
    )


@pytest.mark.spec("AUTH-20")
async def test_reads_of_studies_outside_the_scopes_of_a_caller_are_left_out_and_counted(site):
    found = await cases(site, role="feedback@ward")

    assert (found["cases"], found["coverage"]) == ([], "0 of 0")
    assert found["warnings"] == ["1 reports have studies outside your scopes alone and are left out"]
    assert (await cases(site, role="feedback@Microsoft.Default"))["coverage"] == "1 of 1"


@pytest.mark.spec("COH-14", "COH-34")
async def test_a_reader_is_told_of_each_outcome_once(site):
    body = {"practitioner": "tele-1", "since": "2025-01-01"}
    first = await site.ask("deliver_reader_feedback", "POST", "/v2/feedback/reader/deliver", body)
    again = await site.ask("deliver_reader_feedback", "POST", "/v2/feedback/reader/deliver", body)

    assert orjson.loads(first.body) == {"delivered": 2, "existing": 0}
    assert orjson.loads(again.body) == {"delivered": 0, "existing": 2}
    told = site.server.all("Communication")
    assert {tuple(about["reference"] for about in each["about"]) for each in told} == {
        ("DiagnosticReport/rep-1", "Procedure/biopsy-1"),
        ("DiagnosticReport/rep-1", "DiagnosticReport/path-1"),
    }
    assert all(each["status"] == "completed" and each["sent"] for each in told)
    assert all(each["recipient"] == [{"reference": "Practitioner/tele-1"}] for each in told)


@pytest.mark.spec("COH-36")
@pytest.mark.parametrize(
    ("outcome", "members"),
    [
        (
            "Procedure/biopsy-1",
            {"focus": [{"reference": "DiagnosticReport/rep-1"}, {"reference": "Procedure/biopsy-1"}]},
        ),
        (
            "Observation/seen",
            {
                "focus": [{"reference": "DiagnosticReport/rep-1"}],
                "derivedFrom": [{"reference": "Observation/seen"}],
            },
        ),
    ],
)
async def test_an_assessment_is_kept_once_as_an_observation(site, outcome, members):
    site.server.put({"resourceType": "Observation", "id": "seen", "subject": {"reference": "Patient/pat-1"}})
    body = {"report": "DiagnosticReport/rep-1", "outcome": outcome, "agreement": "minor", "comment": "Too small."}
    answers = [await site.ask("store_feedback", "POST", "/v2/feedback", body) for _ in range(2)]

    assert [each.status for each in answers] == [201, 201]
    (kept,) = [each for each in site.server.all("Observation") if each["id"] != "seen"]
    assert {orjson.loads(each.body)["id"] for each in answers} == {f"Observation/{kept['id']}"}
    assert {name: kept.get(name) for name in ("focus", "derivedFrom")} == {"derivedFrom": None} | members
    assert kept["valueCodeableConcept"]["text"] == "minor"
    assert (kept["subject"]["reference"], kept["note"]) == ("Patient/pat-1", [{"text": "Too small."}])


@pytest.mark.spec("COH-36")
@pytest.mark.parametrize(
    "changed",
    [
        {"agreement": "perfect"},
        {"agreement": None},
        {"report": "DiagnosticReport/none"},
        {"report": "Procedure/biopsy-1"},
        {"outcome": "Procedure/none"},
        {"outcome": "Condition/cond-2"},  # of another patient
        {"comment": None},
        {"comment": "x" * 4001},
        {"more": "x"},
    ],
)
async def test_an_assessment_that_is_wrong_is_refused_and_keeps_nothing(site, changed):
    body = {"report": "rep-1", "outcome": "Procedure/biopsy-1", "agreement": "minor", "comment": ""} | changed
    answer = await site.ask("store_feedback", "POST", "/v2/feedback", {k: v for k, v in body.items() if v is not None})

    assert answer.status == 400
    assert site.server.all("Observation") == []


async def test_csv_has_a_row_for_each_pair_and_no_formula(site):
    site.server.resources["DiagnosticReport", "path-1"]["conclusion"] = '=HYPERLINK("x")\nand more'
    answer = await site.ask("retrieve_reader_feedback", "GET", f"{TARGET}&accept=text/csv")

    assert field(answer, "Content-Type") == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO((await content(answer)).decode(), newline="")))
    assert [(each["report"], each["outcome"], each["strength"]) for each in rows] == [
        ("DiagnosticReport/rep-1", "Procedure/biopsy-1", "explicit"),
        ("DiagnosticReport/rep-1", "DiagnosticReport/path-1", "time"),
    ]
    assert rows[1]["outcomeText"] == '\'=HYPERLINK("x")\nand more'
    assert (rows[0]["patient"], rows[0]["readAt"]) == ("Patient/pat-1", "2025-02-12")


async def test_a_bundle_has_what_would_be_delivered(site):
    answer = await site.ask("retrieve_reader_feedback", "GET", f"{TARGET}&accept=application/fhir%2Bjson")

    bundle = orjson.loads(await content(answer))
    resources = [each["resource"] for each in bundle["entry"]]
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    assert [each["about"][1]["reference"] for each in resources] == ["Procedure/biopsy-1", "DiagnosticReport/path-1"]
    assert site.server.all("Communication") == []


@pytest.mark.parametrize("query", ["", "practitioner=a/b/c", "practitioner=tele-1&since=2025", "practitioner="])
async def test_a_bad_request_is_refused(site, query):
    assert (await site.ask("retrieve_reader_feedback", "GET", f"/v2/feedback/reader?{query}")).status == 400


@pytest.mark.spec("AUTH-14")
@pytest.mark.parametrize(
    ("name", "method", "target", "body"),
    [
        ("retrieve_reader_feedback", "GET", TARGET, None),
        ("deliver_reader_feedback", "POST", "/v2/feedback/reader/deliver", {"practitioner": "tele-1"}),
        ("store_feedback", "POST", "/v2/feedback", {}),
        ("retrieve_model_feedback", "GET", "/v2/feedback/model?device=x", None),
    ],
)
async def test_feedback_needs_its_data_action(site, name, method, target, body):
    role = "read+write+cohort+cohortIdentified"

    assert (await site.ask(name, method, target, body, role=role)).status == 403


@pytest.mark.spec("COH-16")
async def test_each_patient_that_was_read_is_audited(site):
    await cases(site)

    assert site.read_for_feedback == [("feedback/reader", ["Patient/pat-1"])]


async def test_a_fhir_server_that_is_away_is_an_error_and_not_half_a_body(site):
    away = RequestFailed(Failure.UNAVAILABLE, "The FHIR server does not answer.")
    site.server.fault = lambda _method, target: away if "Procedure" in target else None

    status, _ = error(await site.ask("retrieve_reader_feedback", "GET", TARGET))
    assert status >= 500
