"""The rules of evaluation and of the plan, one by one."""

import copy

import pytest

from shared.outgoing.server import Answer
from tests.builders.cohort_runs import Site
from tests.builders.cohorts import SEED
from tests.builders.osteosarcoma import DCM, SNOMED
from tests.fakes.fhir import outcome

ASTHMA = {"codes": [{"system": SNOMED, "code": "195967001"}]}
AS_OF = {"version": 1, "asOf": "2026-06-30"}


def patient(name="a", **members):
    return {"resourceType": "Patient", "id": name, "birthDate": "1980-01-01", "gender": "female"} | members


def condition(name="c", of="a", code="195967001", **members):
    concept = {"coding": [{"system": SNOMED, "code": code}], "text": "Asthma"}
    subject = {"reference": f"Patient/{of}"}
    return {"resourceType": "Condition", "id": name, "subject": subject, "code": concept} | members


def study(name="s", of="a", series=(), **members):
    told = {
        "resourceType": "ImagingStudy",
        "id": name,
        "status": "available",
        "subject": {"reference": f"Patient/{of}"},
    }
    return told | ({"series": list(series)} if series else {}) | members


def series(modality=None, site=None, uid="1"):
    found = {"uid": uid}
    if modality:
        found["modality"] = {"system": DCM, "code": modality}
    if site:
        found["bodySite"] = {"system": SNOMED, "code": site}
    return found


async def judged(definition, *resources):
    site = Site(empty=True)
    for each in resources:
        site.server.put(each)
    found = await site.found(AS_OF | definition)
    members = "".join(each["id"][-1] for each in found["patients"])
    unsure = [(each["criterion"], each["why"]) for each in found["indeterminate"]]
    return members, unsure


def conditions(**members):
    return {"conditions": [{"code": ASTHMA} | members]}


@pytest.mark.spec("COH-18")
@pytest.mark.parametrize(
    ("window", "told", "inside"),
    [
        ({"within": "P1M"}, "2026-05-30", True),
        ({"within": "P1M"}, "2026-05-29", False),
        ({"since": "2026-01-01"}, "2026-07-01", False),
        ({"until": "2026-12-31"}, "2026-06-30", True),
        ({"until": "2026-12-31"}, "2026-07-01", False),
        ({"since": "2025-01-01", "until": "2025-01-31"}, "2025-01-31T23:59:00-11:00", True),
        ({"since": "2025-01-01", "until": "2025-01-31"}, "2025-01", True),
        ({"since": "2025-01-02", "until": "2025-01-31"}, "2025-01", None),
        ({"since": "2025-01-02"}, "2024", False),
        ({"since": "2024-02-01"}, "2024", None),
    ],
)
async def test_windows_are_closed_and_end_with_the_day_of_the_run(window, told, inside):
    members, unsure = await judged(conditions(when=window), patient(), condition(onsetDateTime=told))

    assert (members, bool(unsure)) == {True: ("a", False), False: ("", False), None: ("", True)}[inside]


@pytest.mark.spec("COH-18")
@pytest.mark.parametrize(
    ("onset", "birth", "inside"),
    [
        ({"onsetAge": {"value": 45, "code": "a"}}, "1980-01-01", True),
        ({"onsetAge": {"value": 46, "code": "a"}}, "1980-01-01", None),
        ({"onsetAge": {"value": 44, "code": "a"}}, "1980-01-01", False),
        ({"onsetAge": {"value": 45, "code": "a"}}, None, None),
        ({"onsetAge": {"value": 550, "code": "mo"}}, "1980-01-01", True),
        ({"onsetRange": {"low": {"value": 44, "code": "a"}, "high": {"value": 45, "code": "a"}}}, "1980-01-01", None),
        ({"onsetRange": {"high": {"value": 44, "code": "a"}}}, "1980-01-01", False),
        ({"onsetRange": {"low": {"value": 45, "code": "a"}}}, "1980-01-01", None),
        ({"onsetPeriod": {"start": "2025-05-05", "end": "2030-01-01"}}, "1980-01-01", True),
        ({"onsetPeriod": {"end": "2020-01-01"}}, "1980-01-01", None),
        ({"onsetString": "last year", "recordedDate": "2025-05-05"}, "1980-01-01", None),
        ({"onsetDateTime": "2015-05-05", "recordedDate": "2025-05-05"}, "1980-01-01", False),
        ({"onsetAge": {"value": 45, "code": "a"}, "recordedDate": "2010-05-05"}, "1980-01-01", True),
        ({"onsetAge": {"value": 30, "code": "a"}, "recordedDate": "2025-05-05"}, "1980-01-01", False),
        ({"recordedDate": "2025-05-05"}, "1980-01-01", True),
        ({}, "1980-01-01", None),
    ],
)
async def test_an_onset_of_any_kind_goes_before_the_recorded_date(onset, birth, inside):
    window = {"since": "2025-01-01", "until": "2026-01-31"}
    person = patient(birthDate=birth) if birth else {k: v for k, v in patient().items() if k != "birthDate"}
    members, unsure = await judged(conditions(when=window), person, condition(**onset))

    assert (members, bool(unsure)) == {True: ("a", False), False: ("", False), None: ("", True)}[inside]


@pytest.mark.spec("COH-19")
async def test_one_resource_has_everything_that_an_entry_asks_for():
    old = condition("c1", onsetDateTime="2010-01-01")
    other = condition("c2", code="38341003", onsetDateTime="2026-01-01")

    assert await judged(conditions(when={"within": "P1Y"}), patient(), old, other) == ("", [])


@pytest.mark.spec("COH-6", "COH-19")
async def test_not_exchanges_true_and_false_and_leaves_unknown():
    window = {"within": "P1Y"}
    no = {"conditions": [{"not": {"code": ASTHMA, "when": window}}]}
    people = [patient("x"), patient("y"), patient("z")]
    has = condition("c1", "x", onsetDateTime="2026-01-01")
    maybe = condition("c2", "y")

    members, unsure = await judged(no, *people, has, maybe)
    assert (members, unsure) == ("z", [("conditions[0].not.when", "neither onset nor recordedDate")])


@pytest.mark.spec("COH-18", "COH-23")
@pytest.mark.parametrize(
    ("age", "person", "inside"),
    [
        ({"ge": 46}, {"birthDate": "1980-06-30"}, True),
        ({"ge": 46}, {"birthDate": "1980-07-01"}, False),
        ({"ge": 46}, {"birthDate": "1980-06"}, True),
        ({"ge": 46}, {"birthDate": "1980"}, None),
        ({"le": 46}, {"birthDate": "1980"}, True),
        ({"ge": 46}, {"birthDate": "1960-01-01", "deceasedDateTime": "2000-01-01"}, False),
        ({"ge": 46}, {"birthDate": "1960-01-01", "deceasedBoolean": True}, True),
        ({"ge": 2, "le": 2}, {"birthDate": "2024-02-29"}, True),
    ],
)
async def test_age_is_completed_years_and_ends_with_death(age, person, inside):
    members, unsure = await judged({"patient": {"age": age}}, patient(**person))

    assert (members, bool(unsure)) == {True: ("a", False), False: ("", False), None: ("", True)}[inside]


@pytest.mark.spec("COH-6", "COH-23")
async def test_a_patient_without_birth_date_is_indeterminate():
    unborn = {name: value for name, value in patient().items() if name != "birthDate"}
    members, unsure = await judged({"patient": {"age": {"ge": 46}}} | conditions(), unborn, condition())

    assert (members, unsure) == ("", [("patient.age", "no birthDate")])


@pytest.mark.spec("COH-23")
async def test_age_at_diagnosis_is_that_of_the_earliest_condition_of_the_entry():
    young = {"patient": {"age": {"lt": 18, "at": "diagnosis"}}} | conditions()
    first, second = condition("c1", onsetDateTime="1995-01-01"), condition("c2", onsetDateTime="2020-01-01")

    assert (await judged(young, patient(), second))[0] == ""
    assert (await judged(young, patient(), first, second))[0] == "a"
    old = {"patient": {"age": {"ge": 18, "at": "diagnosis"}}} | conditions()
    members, unsure = await judged(old, patient(), second, condition("c3"))
    assert (members, len(unsure)) == ("", 1)


@pytest.mark.spec("COH-23")
async def test_after_the_diagnosis_is_a_later_day():
    definition = conditions() | {"imaging": {"when": {"after": "diagnosis"}}}
    sick = condition(onsetDateTime="2025-03-01")

    assert (await judged(definition, patient(), sick, study(started="2025-03-02T00:30:00+09:00")))[0] == "a"
    assert (await judged(definition, patient(), sick, study(started="2025-03-01")))[0] == ""
    assert len((await judged(definition, patient(), sick, study(started="2025-03")))[1]) == 1


@pytest.mark.spec("COH-23")
async def test_age_at_the_study_narrows_the_studies():
    definition = {
        "patient": {"age": {"lt": 18, "at": "study"}},
        "imaging": {"required": True},
        "collect": {"studies": "matching"},
    }
    site = Site(empty=True)
    for each in (patient(), study("s1", started="1990-05-05"), study("s2", started="2020-05-05")):
        site.server.put(each)
    found = await site.found(AS_OF | definition)

    assert [each["id"] for each in found["patients"][0]["studies"]] == ["ImagingStudy/s1"]


@pytest.mark.spec("COH-24")
@pytest.mark.parametrize(
    ("wanted", "held", "inside"),
    [
        ("female", "female", True),
        ("male", "female", False),
        ("male", "unknown", None),
        ("other", None, None),
        ("unknown", None, True),
        ("unknown", "unknown", True),
        ("unknown", "male", False),
    ],
)
async def test_gender(wanted, held, inside):
    person = {name: value for name, value in (patient() | {"gender": held}).items() if value}
    members, unsure = await judged({"patient": {"gender": wanted}}, person)

    assert (members, bool(unsure)) == {True: ("a", False), False: ("", False), None: ("", True)}[inside]


@pytest.mark.spec("COH-21")
@pytest.mark.parametrize(
    ("wanted", "held", "inside"),
    [
        ({"modality": ["CT", "MR"]}, [series("MR")], True),
        ({"modality": ["CT"]}, [series("MR")], False),
        ({"modality": ["CT"]}, [series()], None),
        ({"bodySite": {"codes": [{"system": SNOMED, "code": "56459004"}]}}, [series("CT", "56459004")], True),
        ({"bodySite": {"codes": [{"system": SNOMED, "code": "56459004"}]}}, [series("CT", "72696002")], False),
        ({"bodySite": {"codes": [{"system": SNOMED, "code": "56459004"}]}}, [series("CT")], None),
        (
            {"modality": ["CT"], "bodySite": {"codes": [{"system": SNOMED, "code": "56459004"}]}},
            [series("CT", "72696002"), series("MR", "56459004", "2")],
            False,
        ),
    ],
)
async def test_a_study_matches_by_modality_and_body_site_of_one_series(wanted, held, inside):
    members, unsure = await judged({"imaging": wanted}, patient(), study(series=held))

    assert (members, bool(unsure)) == {True: ("a", False), False: ("", False), None: ("", True)}[inside]


@pytest.mark.spec("COH-21")
async def test_a_modality_counts_with_the_bare_system_of_the_reference_too():
    bare = study(modality=[{"system": "DCM", "code": "CT"}])

    assert (await judged({"imaging": {"modality": ["CT"]}}, patient(), bare))[0] == "a"


@pytest.mark.spec("COH-22")
async def test_no_imaging_holds_whatever_required_says():
    definition = {"patient": {"gender": "female"}, "imaging": {"required": False, "not": {"modality": ["CT"]}}}

    assert (await judged(definition, patient(), study(series=[series("CT")])))[0] == ""
    assert (await judged(definition, patient(), study(series=[series("MR")])))[0] == "a"


@pytest.mark.spec("COH-26")
async def test_text_is_compared_as_a_whole_and_folded():
    of_text = {"conditions": [{"code": {"text": "ASTHMA"}}]}
    part = {"conditions": [{"code": {"text": "asth"}}]}

    assert (await judged(of_text, patient(), condition()))[0] == "a"
    assert (await judged(part, patient(), condition()))[0] == ""


@pytest.mark.spec("COH-26")
async def test_a_value_set_has_the_codes_of_the_site_of_the_same_name_too():
    own = condition(code="local-1")
    own["code"] = {"coding": [{"system": "urn:site", "code": "local-1", "display": "Osteogenic sarcoma"}]}

    assert (await judged({"conditions": [{"code": {"valueSet": "osteosarcoma"}}]}, patient(), own))[0] == "a"


@pytest.mark.spec("COH-20")
async def test_a_request_not_to_give_meets_no_entry():
    drug = {"coding": [{"system": "s", "code": "d"}]}
    told = {"resourceType": "MedicationRequest", "id": "m", "subject": {"reference": "Patient/a"}, "status": "active"}
    request = told | {"medicationCodeableConcept": drug}
    definition = {"medications": [{"code": {"codes": [{"system": "s", "code": "d"}]}}]}

    assert (await judged(definition, patient(), request))[0] == "a"
    assert (await judged(definition, patient(), request | {"doNotPerform": True}))[0] == ""
    assert (await judged(definition, patient(), request | {"status": "draft"}))[0] == ""


@pytest.mark.spec("COH-25")
async def test_all_conditions_are_listed_but_refuted_ones():
    site = Site(empty=True)
    no = {"coding": [{"code": "refuted"}]}
    rows = [condition("c1"), condition("c2", code="38341003"), condition("c3", code="x", verificationStatus=no)]
    for each in (patient(), *rows):
        site.server.put(each)
    found = await site.found(AS_OF | conditions() | {"collect": {"conditions": "all"}})

    assert [each["id"] for each in found["patients"][0]["conditions"]] == ["Condition/c1", "Condition/c2"]
    assert "studies" not in found["patients"][0]


@pytest.mark.spec("COH-3", "COH-4", "COH-5")
@pytest.mark.parametrize("page", [1, 3, 500])
async def test_nobody_is_lost_whatever_the_server_pages_ignores_or_refuses(page):
    expected = await Site().found(SEED)
    paged = await Site(page=page).found(SEED)
    lenient = Site()
    lenient.server.strict_refused = True
    loose = await lenient.found(SEED)
    deaf = Site()
    deaf.server._matching = lambda resources, kind, _parameters: [  # it ignores every parameter
        each for (of, _), each in sorted(resources.items()) if of == kind
    ]
    everything = await deaf.found(SEED)

    for found in (paged, loose, everything):
        assert found["patients"] == expected["patients"]
        assert found["indeterminate"] == expected["indeterminate"]
    assert expected["warnings"] == []
    assert any("does not know a parameter" in each for each in loose["warnings"])


@pytest.mark.spec("COH-5")
async def test_the_limit_is_an_error_that_says_what_would_narrow_the_cohort():
    site = Site()
    cohort_id = await site.run(SEED | {"limits": {"patients": 4}})
    operation = await site.operation(cohort_id)

    assert operation.status.value == "failed"
    assert operation.results["patients"] == 5
    assert operation.results["narrow"] == "imaging.when"
    shown = await site.cohorts.get(cohort_id)
    assert (shown["status"], "limit" in shown["error"]) == ("failed", True)


@pytest.mark.spec("COH-5", "OP-9")
@pytest.mark.parametrize("broken", range(1, 40, 3))
async def test_a_run_goes_on_after_an_interruption_at_any_search(broken):
    expected = await Site().found(SEED)
    site = Site()
    cohort_id = await site.start(SEED)
    before = site.server.requests

    def fault(_method, _target):
        return (
            Answer(503, {"retry-after": "0"}, outcome("throttled")) if site.server.requests == before + broken else None
        )

    site.server.fault = fault
    for _ in range(3):
        await site.runner.run()
        site.time.seconds += 600
    found = await site.manifest(cohort_id)
    assert found["patients"] == expected["patients"]
    assert found["counts"] == expected["counts"]


async def test_an_address_that_is_not_allowed_is_not_told():
    site = Site(allowed=frozenset({"https://elsewhere.example.org"}))
    found = await site.found(SEED)

    assert all("retrieve" not in study for each in found["patients"] for study in each["studies"])
    assert found["warnings"] == [
        "6 studies have no Endpoint that is allowed (Cohort:AllowedEndpoints): no address is given"
    ]


@pytest.mark.spec("COH-7")
async def test_a_report_of_two_studies_is_listed_with_each():
    site = Site()
    both = copy.deepcopy(next(each for each in site.server.all("DiagnosticReport") if each["id"] == "rep-1"))
    both["imagingStudy"].append({"reference": "ImagingStudy/img-2"})
    site.server.put(both)
    found = await site.found(SEED)

    first = found["patients"][0]
    assert [[r["id"] for r in s["reports"] if r["id"].endswith("1")] for s in first["studies"]] == [
        ["DiagnosticReport/rep-1"],
        ["DiagnosticReport/rep-1"],
    ]
    assert found["counts"]["reports"] == 3


@pytest.mark.spec("COH-2")
async def test_the_same_input_gives_the_same_manifest():
    one, other = await Site().found(SEED), await Site(page=3).found(SEED)

    assert {name: one[name] for name in one.keys() - {"id", "createdAt"}} == {
        name: other[name] for name in other.keys() - {"id", "createdAt"}
    }


@pytest.mark.spec("COH-5")
async def test_an_entry_that_is_larger_than_a_row_is_kept_whole():
    site = Site(empty=True, page=5000)
    site.server.put(patient())
    for number in range(3000):
        site.server.put(study(f"s{number:05}", started="2020-01-01", description="x" * 10))
    found = await site.found(AS_OF | {"imaging": {}, "collect": {"studies": "all"}})

    assert len(found["patients"][0]["studies"]) == 3000
