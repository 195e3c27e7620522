"""What became of the predictions of a model: pairs, lines, increments."""

import copy
import csv
import io

import orjson
import pytest

from shared.cohorts.feedback import predictions
from shared.cohorts.feedback.models import models_of
from shared.errors import Misconfigured
from shared.sections import Sections
from shared.wiring.cohorts import feedback_settings
from tests.builders.cohort_runs import Site
from tests.builders.http import content, field
from tests.builders.osteosarcoma import STENT_PLANNER, stent, stent_observations

TARGET = "/v2/feedback/model?device=StentPlanner"
PAIR = {
    "model": "StentPlanner",
    "version": "1.0",
    "predictedAt": "2026-03-05",
    "studyUid": "2.25.7000.11",
    "seriesUids": [],
    "prediction": 3.0,
    "outcome": 3.5,
    "outcomeSource": "Observation/stent-implanted",
    "delta": 0.5,
    "agree": False,
}


def changed(**parts):
    entry = copy.deepcopy(STENT_PLANNER)
    for name, part in parts.items():
        entry[name] |= part
    return entry


def site_of(*models):
    found = Site()
    for each in stent_observations():
        found.server.put(each)
    found.models += models_of(list(models or (STENT_PLANNER,)))
    return found


def predicted(known, value, day, **members):
    device = {"device": {"reference": "Device/stent-planner"}, "partOf": [{"reference": "ImagingStudy/img-11"}]}
    return {**stent(known, "Recommended Stent diameter", value, day, "preliminary"), **device, **members}


async def answered(site, target=TARGET, **how):
    answer = await site.ask("retrieve_model_feedback", "GET", target, **how)
    assert answer.status == 200
    return [orjson.loads(each) for each in (await content(answer)).splitlines()]


async def pairs(site, target=TARGET):
    return [each for each in await answered(site, target) if "summary" not in each]


@pytest.mark.spec("COH-15", "COH-35")
async def test_the_stent_of_the_page():
    *lines, last = await answered(site_of())

    assert [{name: each[name] for name in each if name != "patientPseudonym"} for each in lines] == [PAIR]
    assert list(lines[0])[-1] == "patientPseudonym"
    assert "pat-9" not in lines[0]["patientPseudonym"]
    summary = last["summary"]
    assert {name: summary[name] for name in summary if name != "next"} == {
        "model": "StentPlanner",
        "version": "1.0",
        "count": 1,
        "coverage": 1.0,
        "agreement": 0.0,
        "meanAbsoluteError": 0.5,
    }


@pytest.mark.spec("COH-15", "COH-35")
async def test_a_prediction_without_an_outcome_is_a_line_all_the_same():
    site = site_of()
    site.server.resources.pop(("Observation", "stent-implanted"))
    line, last = await answered(site)

    assert (line["outcome"], line["outcomeSource"]) == (None, None)
    assert "delta" not in line
    assert "agree" not in line
    assert (last["summary"]["coverage"], last["summary"]["agreement"]) == (0.0, None)


@pytest.mark.spec("COH-15", "COH-35")
async def test_equal_input_gives_equal_bytes_and_a_token_leads_on():
    site = site_of()
    site.server.put(predicted("b", 2.0, "2026-03-05"))
    site.server.put(predicted("a", 2.5, "2026-03-06T08:00:00+05:00"))
    site.server.put(predicted("c", 2.5, "2026-01"))
    first, again = await answered(site), await answered(site)

    assert first == again
    assert [each["predictedAt"] for each in first[:-1]] == [
        "2026-01",
        "2026-03-05",
        "2026-03-05",
        "2026-03-06T08:00:00+05:00",
    ]
    token = first[-1]["summary"]["next"]
    assert (await answered(site, f"{TARGET}&after={token}"))[-1]["summary"] == {
        "model": "StentPlanner",
        "count": 0,
        "coverage": None,
        "agreement": None,
        "meanAbsoluteError": None,
        "next": token,
    }
    site.server.put(predicted("d", 4.0, "2026-04-01"))
    assert [each["prediction"] for each in await pairs(site, f"{TARGET}&after={token}")] == [4.0]


@pytest.mark.spec("COH-35")
async def test_what_one_answer_does_not_hold_follows_in_the_next(monkeypatch):
    monkeypatch.setattr(predictions, "MOST_LINES", 2)
    site = site_of()
    for day in range(10, 14):
        site.server.put(predicted(f"p{day}", float(day), f"2026-03-{day}"))
    found, target = [], TARGET
    for _ in range(4):
        answer = await site.ask("retrieve_model_feedback", "GET", target)
        *lines, last = (orjson.loads(each) for each in (await content(answer)).splitlines())
        found += [each["prediction"] for each in lines]
        target = f"{TARGET}&after={last['summary']['next']}"
        assert (field(answer, "Link") or "").startswith("<http://dicom.example/v2/feedback/model?") == bool(lines)

    assert found == [3.0, 10.0, 11.0, 12.0, 13.0]


@pytest.mark.spec("COH-35")
async def test_each_version_has_a_summary_and_the_last_one_the_token():
    site = site_of()
    device = {**site.server.resources["Device", "stent-planner"], "id": "newer", "version": [{"value": "2.0"}]}
    site.server.put(device)
    site.server.put(predicted("b", 3.5, "2026-03-06", device={"reference": "Device/newer"}))
    *_, first, second = await answered(site)

    told = [(each["summary"]["version"], each["summary"]["agreement"]) for each in (first, second)]
    assert told == [("1.0", 0.0), ("2.0", 1.0)]
    assert ["next" in each["summary"] for each in (first, second)] == [False, True]


@pytest.mark.spec("COH-35")
@pytest.mark.parametrize(("value", "agree"), [(3.25, True), (3.24, False), (3.75, True), (3.7501, False), (3.5, True)])
async def test_a_tolerance_is_met_on_its_limits(value, agree):
    site = site_of()
    site.server.put(predicted("stent-predicted", value, "2026-03-05"))

    (line,) = await pairs(site)
    assert line["agree"] is agree


@pytest.mark.spec("COH-35")
@pytest.mark.parametrize(
    "outcome",
    [
        stent("stent-implanted", "implanted stent diameter", 3.5, "2026-03-05", "final"),  # of the same day
        stent("stent-implanted", "implanted stent diameter", 3.5, "2026-06-04", "final"),  # on the 91st day
        stent("stent-implanted", "implanted stent diameter", 3.5, "2026-03-20", "preliminary"),
        stent("stent-implanted", "another diameter", 3.5, "2026-03-20", "final"),
        stent("stent-implanted", "implanted stent diameter", 3.5, "2026-03-20", "final")
        | {"valueQuantity": {"value": 0.35, "unit": "cm", "code": "cm"}},
        stent("stent-implanted", "implanted stent diameter", 3.5, "2026-03-20", "final")
        | {"subject": {"reference": "Patient/pat-1"}},
    ],
)
async def test_what_cannot_be_compared_is_no_outcome(outcome):
    site = site_of()
    site.server.put(outcome)

    (line,) = await pairs(site)
    assert line["outcome"] is None


@pytest.mark.spec("COH-35")
async def test_the_earliest_outcome_counts():
    site = site_of()
    site.server.put(stent("earlier", "Implanted stent diameter", 3.0, "2026-03-10", "final"))

    (line,) = await pairs(site)
    assert (line["outcomeSource"], line["agree"]) == ("Observation/earlier", True)


async def test_a_coded_prediction_is_searched_by_its_code():
    code = {"codes": [{"system": "urn:vendor", "code": "diameter"}]}
    site = site_of(changed(prediction={"code": code}))
    coding = {"coding": [{"system": "urn:vendor", "code": "diameter"}]}
    site.server.put(predicted("stent-predicted", 3.0, "2026-03-05", code=coding))

    assert len(await pairs(site)) == 1
    assert not [target for _, target, _, _ in site.server.sent if target.startswith("ImagingStudy") and "_id" in target]
    assert any(body and b"code=urn%3Avendor" in body for _, _, _, body in site.server.sent)


@pytest.mark.parametrize(
    ("value", "prediction", "outcome", "agree"),
    [
        ("CodeableConcept", {"coding": [{"system": "s", "code": "a"}]}, {"coding": [{"system": "s", "code": "a"}]}, 1),
        ("CodeableConcept", {"coding": [{"system": "s", "code": "a"}]}, {"coding": [{"system": "s", "code": "b"}]}, 0),
        ("boolean", True, True, 1),
        ("boolean", True, False, 0),
        ("string", "benign", "malignant", 0),
        ("integer", 3, 3, 1),
    ],
)
async def test_other_values_agree_if_they_are_equal(value, prediction, outcome, agree):
    site = site_of(changed(prediction={"value": value}, compare={"kind": "equal"}))
    name = f"value{value[0].upper()}{value[1:]}"
    for known, held in (("stent-predicted", prediction), ("stent-implanted", outcome)):
        resource = site.server.resources["Observation", known]
        resource.pop("valueQuantity")
        resource[name] = held

    (line,) = await pairs(site)
    assert line["agree"] == bool(agree)
    assert "delta" not in line


async def test_a_prediction_that_something_happens_agrees_once_it_did():
    site = site_of(
        changed(
            prediction={"value": "boolean"},
            outcome={"resource": "Procedure", "code": {"text": "amputation"}},
            compare={"kind": "presence"},
        )
    )
    resource = site.server.resources["Observation", "stent-predicted"]
    resource.pop("valueQuantity")
    resource["valueBoolean"] = False
    site.server.put(
        {
            "resourceType": "Procedure",
            "id": "happened",
            "status": "completed",
            "code": {"text": "Amputation"},
            "subject": {"reference": "Patient/pat-9"},
            "performedPeriod": {"start": "2026-03-20", "end": "2026-03-21"},
        }
    )

    (line,) = await pairs(site)
    assert (line["prediction"], line["outcome"], line["agree"]) == (False, True, False)


@pytest.mark.spec("AUTH-20")
async def test_predictions_of_studies_outside_the_scopes_of_a_caller_are_left_out():
    found = await answered(site_of(), role="feedback@ward")

    assert [list(each) for each in found] == [["summary"]]
    assert len(await answered(site_of(), role="feedback@Microsoft.Default")) == 2


@pytest.mark.spec("COH-35")
@pytest.mark.parametrize(("since", "count"), [("2026-03-05", 1), ("2026-03-06", 0)])
async def test_since_is_compared_with_the_prediction(since, count):
    assert len(await pairs(site_of(), f"{TARGET}&since={since}")) == count


@pytest.mark.parametrize(
    ("query", "status"),
    [("device=Nobody", 404), ("device=", 400), ("device=StentPlanner&after=!", 400), ("", 400)],
)
async def test_a_bad_request_is_refused(query, status):
    answer = await site_of().ask("retrieve_model_feedback", "GET", f"/v2/feedback/model?{query}")

    assert answer.status == status


async def test_csv_for_retraining():
    answer = await site_of().ask("retrieve_model_feedback", "GET", f"{TARGET}&accept=text/csv")

    (row,) = csv.DictReader(io.StringIO((await content(answer)).decode(), newline=""))
    row.pop("patientPseudonym")
    assert row == PAIR | {"seriesUids": "", "prediction": "3.0", "outcome": "3.5", "delta": "0.5", "agree": "false"}


async def test_a_bundle_for_whoever_reads_fhir():
    answer = await site_of().ask("retrieve_model_feedback", "GET", f"{TARGET}&accept=application/fhir%2Bjson")

    bundle = orjson.loads(await content(answer))
    (resource,) = [each["resource"] for each in bundle["entry"]]
    assert (resource["resourceType"], resource["valueBoolean"]) == ("Observation", False)
    assert resource["focus"] == [{"reference": "Observation/stent-predicted"}]
    assert resource["derivedFrom"] == [{"reference": "Observation/stent-implanted"}]
    assert "pat-9" not in orjson.dumps(resource).decode()


@pytest.mark.spec("COH-16")
async def test_each_patient_that_was_read_is_audited():
    site = site_of()
    await pairs(site)

    assert site.read_for_feedback == [("feedback/model", ["Patient/pat-9"])]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        changed(compare={"kind": "magic"}),
        changed(outcome={"within": "90 days"}),
        changed(outcome={"resource": "Procedure"}),
        changed(prediction={"code": {}}),
        changed(compare={"kind": "presence"}),
        changed(prediction={"value": "string"}),
    ],
)
def test_models_of_another_form_are_misconfigured(entry):
    settings = Sections.of({"Feedback__Models": orjson.dumps([entry]).decode()})

    with pytest.raises(Misconfigured, match="Models"):
        feedback_settings(settings.below("Feedback"), frozenset())


def test_settings_are_read():
    settings = Sections.of(
        {
            "Feedback__Models": orjson.dumps([STENT_PLANNER]).decode(),
            "Feedback__WindowDays": "90",
            "Feedback__ProcedureSites": '{"urn:ops|1-503": "http://snomed.info/sct|56459004"}',
        }
    )
    found = feedback_settings(settings.below("Feedback"), frozenset())

    assert (found.window_days, [each.name for each in found.models]) == (90, ["StentPlanner"])
    assert found.sites_of_codes == {("urn:ops", "1-503"): ("http://snomed.info/sct", "56459004")}
