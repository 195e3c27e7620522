"""dicomcast §4.2 to §4.7, §5.1: each mapped value present, absent, empty and malformed, and what becomes of it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.cast.collecting import SERIES_TAGS, STUDY_TAGS
from shared.cast.mapping.imaging_study import References, wanted_study
from shared.cast.mapping.patient import new_patient, wanted_patient
from shared.cast.model import Note, Study, Summary
from tests.builders.cast import SETTINGS, Cast, collected, element, instance
from tests.unit.cast.test_dose import STUDY, code, event, item, number, report
from tests.unit.cast.test_measurements import DIAMETER, VOLUME, group, measured, measurements

DCM = "http://dicom.nema.org/resources/ontology/DCM"
SCT = "http://snomed.info/sct"
ISSUED = replace(SETTINGS, issuer_is_used=True)
BROKEN = "M\ufffdller"
"""Bytes that are no UTF-8, in an instance that says that they are."""
CONTROL = "A\x07B"
LONG = "x" * 300
NAMED = {"use": "usual", "family": "A", "given": ["B", "C"], "prefix": ["D"], "suffix": ["E"]}


def site(value: str, scheme: str, meaning: str) -> list[Any]:
    tags = {"00080100": value, "00080102": scheme, "00080104": meaning}
    return [{tag: element(tag, text) for tag, text in tags.items() if text}]


def issuer(value: str, kind: str) -> list[Any]:
    return [{"00400032": element("x", value), **({"00400033": element("x", kind)} if kind else {})}]


def of_patient(study: Study) -> dict[str, Any]:
    wanted = wanted_patient(study.attributes, ISSUED)
    return new_patient(wanted, ISSUED) if wanted else {}


def of_study(study: Study) -> dict[str, Any]:
    return wanted_study(study, ISSUED, References("Patient/1", "Endpoint/1"))


def of_series(study: Study) -> dict[str, Any]:
    (series,) = of_study(study)["series"]
    return {**series, "instance": series["instance"][0]}


ABSENT = None
PATIENT = [
    # tag, value, element, what stands there, whether the value is noted
    ("00100020", "COH-001", "identifier", "COH-001", False),
    ("00100020", " COH-001 \0", "identifier", "COH-001", False),
    ("00100020", LONG, "identifier", LONG, False),
    ("00100010", "A^B^C^D^E", "name", [NAMED], False),
    ("00100010", "A^B^C^D^E^F", "name", [NAMED], True),
    ("00100010", "A^B^C^D^E=^^^^= =X", "name", [NAMED], True),
    ("00100010", "^^^^", "name", ABSENT, False),
    ("00100010", "=", "name", ABSENT, False),
    ("00100010", BROKEN, "name", ABSENT, True),
    ("00100010", CONTROL, "name", ABSENT, True),
    ("00100010", LONG, "name", [{"use": "usual", "family": LONG}], False),
    ("00100010", {"Alphabetic": "A", "Ideographic": BROKEN}, "name", [{"use": "usual", "family": "A"}], True),
    ("00100010", {"Alphabetic": BROKEN}, "name", ABSENT, True),
    ("00100040", "M", "gender", "male", False),
    ("00100040", "F ", "gender", "female", False),
    ("00100040", "O", "gender", "other", False),
    ("00100040", "f", "gender", ABSENT, True),
    ("00100040", "U", "gender", ABSENT, True),
    ("00100040", "MALE", "gender", ABSENT, True),
    ("00100030", "19700229", "birthDate", ABSENT, True),
    ("00100030", "19720229", "birthDate", "1972-02-29", False),
    ("00100030", "1972.02.29", "birthDate", "1972-02-29", True),
    ("00100030", "197202", "birthDate", "1972-02", True),
    ("00100030", "1972", "birthDate", "1972", True),
    ("00100030", "1972-02-29", "birthDate", ABSENT, True),
    ("00100030", "00000000", "birthDate", ABSENT, True),
    ("00100030", "١٩٧٢٠٢٢٩", "birthDate", ABSENT, True),
    ("00100021", "HOSP", "system", "HOSP", False),
    ("00100021", "St Mary", "system", "urn:dicom:issuer:St%20Mary", False),
    ("00100021", BROKEN, "system", SETTINGS.patient_system, True),
    ("00100024", issuer("1.2.3", "ISO"), "system", "urn:oid:1.2.3", False),
    ("00100024", issuer("hosp.example", "ISO"), "system", SETTINGS.patient_system, True),
    ("00100024", issuer("1.2.", "ISO"), "system", SETTINGS.patient_system, True),
    ("00100024", issuer("hosp.example", "DNS"), "system", SETTINGS.patient_system, False),
]
MOMENTS = [
    # date, time, offset, what starts, tags noted
    ("20240301", "101530.123", "+0200", "2024-03-01T10:15:30.123+02:00", ""),
    ("20240301", "101530.", "+0200", "2024-03-01", "t"),
    ("20240301", "101530.1234567", "+0200", "2024-03-01", "t"),
    ("20240301", "10:15", "+0200", "2024-03-01", "t"),
    ("20240301", "10153", "+0200", "2024-03-01", "t"),
    ("20240301", "246000", "+0200", "2024-03-01", "t"),
    ("20240301", "noon", "+0200", "2024-03-01", "t"),
    ("20240301", "101560", "+0000", "2024-03-01T10:15:59+00:00", "t"),
    ("20240301", "", "+0200", "2024-03-01", ""),
    ("20240301", "", "east", "2024-03-01", "o"),
    ("20240301", "101530", "", "2024-03-01", ""),
    ("20240301", "101530", "0200", "2024-03-01", "o"),
    ("20240301", "101530", "+02:00", "2024-03-01", "o"),
    ("20240301", "101530", "+0260", "2024-03-01", "o"),
    ("20240301", "101530", "+1401", "2024-03-01", "o"),
    ("20240301", "101530", "-1201", "2024-03-01", "o"),
    ("20240301", "101530", "-0000", "2024-03-01T10:15:30+00:00", "o"),
    ("2024.03.01", "10:15:30", "+0200", "2024-03-01T10:15:30+02:00", "dt"),
    ("20240231", "101530", "+0200", ABSENT, "d"),
    ("2024", "101530", "+0200", ABSENT, "d"),
    ("202403", "101530", "+0200", ABSENT, "d"),
    ("2024-03-01", "101530", "+0200", ABSENT, "d"),
    ("20240301-20240302", "101530", "+0200", ABSENT, "d"),
    (BROKEN, "101530", "+0200", ABSENT, "d"),
    ("", "101530", "+0200", ABSENT, ""),
    ("", "noon", "east", ABSENT, "to"),
]
STUDY_LEVEL = [
    ("00080050", "A-2", "identifier", "A-2", False),
    ("00080050", CONTROL, "identifier", ABSENT, True),
    ("00080050", BROKEN, "identifier", ABSENT, True),
    ("00080050", LONG, "identifier", LONG, False),
    ("00081030", "Thorax\r\nhoch", "description", "Thorax\r\nhoch", False),
    ("00081030", BROKEN, "description", ABSENT, True),
    ("00081030", CONTROL, "description", ABSENT, True),
    ("00081030", LONG, "description", LONG, False),
    ("00080051", issuer("1.2.3", ""), "accession system", "urn:oid:1.2.3", False),
    ("00080051", issuer("HOSP", ""), "accession system", SETTINGS.accession_system, True),
    ("00080051", issuer("HOSP", "DNS"), "accession system", SETTINGS.accession_system, False),
    ("00081032", site("24627-2", "LN", "Chest CT"), "procedureCode", [{"coding": [
        {"system": "http://loinc.org", "code": "24627-2", "display": "Chest CT"}]}], False),
    ("00081032", site("24627-2", "", "Chest CT"), "procedureCode", [{"text": "Chest CT"}], True),
    ("00081032", site("24627-2", "", ""), "procedureCode", [{"text": "24627-2"}], True),
    ("00081032", site("", "LN", "Chest CT"), "procedureCode", [{"text": "Chest CT"}], True),
    ("00081032", site("246  27", "LN", "Chest CT"), "procedureCode", [{"text": "Chest CT"}], True),
    ("00081032", site("24627-2", "LN", BROKEN), "procedureCode", [{"coding": [
        {"system": "http://loinc.org", "code": "24627-2"}]}], True),
    ("00081032", site("T-0000X", "SRT", "Nothing"), "procedureCode", [{"text": "Nothing"}], False),
    ("00081032", site("X1", "99LOCAL", "Local"), "procedureCode", [{"text": "Local"}], False),
    ("00081032", [{}], "procedureCode", ABSENT, True),
    ("00401012", site("1", "", "Pain"), "reasonCode", [{"text": "Pain"}], True),
    ("00400275", [{"0040100A": {"vr": "SQ", "Value": site("1", "", "Pain")}}], "reasonCode", [{"text": "Pain"}], True),
    ("00400275", [{"00401002": element("x", BROKEN)}], "reasonCode", ABSENT, True),
    ("00080090", "Ref^Erring^^^^X", "referrer", {"display": "Erring Ref"}, True),
    ("00080090", BROKEN, "referrer", ABSENT, True),
    ("00081060", "Read^Er", "interpreter", [{"display": "Er Read"}], False),
    ("00081040", CONTROL, "location", ABSENT, True),
]  # fmt: skip  # a table
SERIES_LEVEL = [
    ("00080060", "CT", "modality", {"system": DCM, "code": "CT"}, False),
    ("00080060", "ct", "modality", {"system": DCM, "code": "CT"}, True),
    ("00080060", "C-T", "modality", {"system": DCM, "code": "OT"}, True),
    ("00080060", "C  T", "modality", {"system": DCM, "code": "OT"}, True),
    ("00080060", "COMPUTEDTOMOGRAPHY", "modality", {"system": DCM, "code": "OT"}, True),
    ("0008103E", BROKEN, "description", ABSENT, True),
    ("00200011", "0", "number", 0, False),
    ("00200011", "+7", "number", 7, False),
    ("00200011", "2147483647", "number", 2_147_483_647, False),
    ("00200011", "2147483648", "number", ABSENT, True),
    ("00200011", 10**400, "number", ABSENT, True),
    ("00200011", float("inf"), "number", ABSENT, True),
    ("00200011", "-1", "number", ABSENT, True),
    ("00200011", "1.0", "number", ABSENT, True),
    ("00200011", "1e3", "number", ABSENT, True),
    ("00200011", "1_0", "number", ABSENT, True),
    ("00200011", "١", "number", ABSENT, True),
    ("00200060", "R", "laterality", {"system": SCT, "code": "24028007", "display": "Right"}, False),
    ("00200060", "LEFT", "laterality", ABSENT, True),
    ("00200060", "l", "laterality", ABSENT, True),
    ("00200062", "U", "laterality", ABSENT, False),
    ("00200062", "X", "laterality", ABSENT, True),
    ("00180015", "CHEST", "bodySite", {"system": SCT, "code": "816094009", "display": "Thorax"}, False),
    ("00180015", "LEFT BIG TOE", "bodySite", {"display": "LEFT BIG TOE"}, False),
    ("00180015", BROKEN, "bodySite", ABSENT, True),
    ("00082218", site("71341001", "", "Femur"), "bodySite", {"display": "Femur"}, True),
    ("00081050", "Doe^Jane^^^^X", "performer", ["Jane Doe"], True),
    ("00081070", BROKEN, "performer", ABSENT, True),
]


def shown(found: dict[str, Any], name: str) -> Any:
    if name == "system":
        return found["identifier"][0]["system"]
    if name == "accession system":
        return found["identifier"][1]["system"]
    if name == "identifier" and found["resourceType"] == "ImagingStudy":
        return next((each["value"] for each in found["identifier"][1:]), ABSENT)
    if name == "identifier":
        return found["identifier"][0]["value"]
    if name == "performer":
        return [each["actor"]["display"] for each in found.get("performer", [])] or ABSENT
    return found.get(name)


ROWS = [
    *((of_patient, *row) for row in PATIENT),
    *((of_study, *row) for row in STUDY_LEVEL),
    *((of_series, *row) for row in SERIES_LEVEL),
]
STRICT = replace(ISSUED, enforces_validation=True)


@pytest.mark.spec("CAST-ER-5")
@pytest.mark.parametrize("tag", sorted({row[1] for row in ROWS}))
def test_a_value_is_written_or_left_out_and_noted(tag: str) -> None:
    for made, value, name, expected, noted in ((row[0], *row[2:]) for row in ROWS if row[1] == tag):
        given = instance(STUDY, **{f"t{tag}": value})
        study = collected(STUDY, given, settings=ISSUED)
        found = value, shown(made(study), name), study.notes, study.instances
        assert found == (value, expected, {Note(tag, "malformed")} if noted else set(), 1)
        refused = [each.tag for each in collected(STUDY, given, settings=STRICT).refused]
        assert (value, refused) == (value, [tag] if noted else [])


@pytest.mark.spec("CAST-ER-5")
@pytest.mark.parametrize("tags", [("00080020", "00080030"), ("00080021", "00080031"), ("00400244", "00400245")])
def test_a_moment_is_written_as_far_as_it_is_well_formed(tags: tuple[str, str]) -> None:
    day, clock = tags
    names = {"d": day, "t": clock, "o": "00080201"}
    for date, time, offset, started, noted in MOMENTS:
        plain = {"t00080020": None, "t00080030": None, "t00080201": offset, f"t{day}": date, f"t{clock}": time}
        study = collected(STUDY, instance(STUDY, **plain), settings=ISSUED)
        found = (of_study if day == "00080020" else of_series)(study).get("started")
        notes = {Note(names[each], "malformed") for each in noted}
        assert (date, time, offset, found, study.notes) == (date, time, offset, started, notes)


def test_what_is_empty_is_as_if_it_were_absent() -> None:
    for tag in sorted({*STUDY_TAGS, *SERIES_TAGS, "00200013", "00080008", "00420010"} - {"00100020"}):
        plain = instance(STUDY, **{f"t{tag}": None})
        empty = ({"vr": "LO"}, {"vr": "LO", "Value": []}, element(tag, ""), element(tag, " \0 "))
        absent, *others = (collected(STUDY, plain | more) for more in ({}, *({tag: each} for each in empty)))
        wanted = tag, of_patient(absent), of_study(absent), absent.notes
        assert {note.kind for note in absent.notes} <= {"missing"}
        for each in others:
            assert (tag, of_patient(each), of_study(each), each.notes) == wanted


@pytest.mark.parametrize("tag", ["00080016", "00080018", "0020000D", "0020000E"])
def test_an_instance_with_a_uid_that_is_none_is_left_out(tag: str) -> None:
    for uid in ("", "abc", "1.2.", "1." + "2" * 63, "urn:oid:1.2", "1.2\\1.3", BROKEN):
        study = collected(STUDY, instance(STUDY), instance(STUDY, 1, 2, **{f"t{tag}": uid}))
        assert (uid, study.instances, [each.tag for each in study.refused], study.notes) == (uid, 1, [tag], set())


async def test_a_patient_id_that_cannot_be_read_is_nobodys() -> None:
    """Two ids that the character set of their instances does not have look alike: neither names a Patient."""
    for value in ("", " \0", BROKEN, CONTROL, "\ufffd\ufffd", "\ud800"):
        cast = Cast()
        await cast.cast(STUDY, instance(STUDY, t00100020=value))
        assert (value, cast.fhir.all("Patient"), cast.fhir.all("ImagingStudy")) == (value, [], [])
        assert len(await cast.open_errors("DicomError")) == 1


def test_of_several_values_the_first_counts_and_that_is_noted() -> None:
    first = {"00080060": "CT", "00100040": "F", "00180015": "CHEST"}
    for tag in ("00080060", "00080050", "00081030", "00100040", "0008103E", "00180015", "00100020"):
        one = collected(STUDY, instance(STUDY, **{f"t{tag}": first.get(tag, "A")}))
        several = collected(STUDY, {**instance(STUDY), tag: element(tag, first.get(tag, "A"), "B")})
        assert (tag, of_patient(several), of_study(several)) == (tag, of_patient(one), of_study(one))
        assert several.notes - one.notes == {Note(tag, "several-values")}


def test_people_of_whom_there_may_be_several_are_all_named() -> None:
    found = {
        **instance(STUDY),
        "00081060": element("00081060", "A^B", "C^D"),
        "00081050": element("00081050", "E", "F"),
    }
    study = collected(STUDY, found)
    assert of_study(study)["interpreter"] == [{"display": "B A"}, {"display": "D C"}]
    assert shown(of_series(study), "performer") == ["E", "F"]
    assert study.notes == set()


def test_what_one_instance_leaves_empty_or_cannot_say_another_tells() -> None:
    told = instance(STUDY, 1, 2, t00081030="Thorax")
    for unsaid in ("", " ", BROKEN):
        first = {**instance(STUDY), "00081030": element("00081030", unsaid)}
        summary = Summary({"00081030": element("00081030", unsaid)})
        assert of_study(collected(STUDY, first, told, summary=summary))["description"] == "Thorax"


def test_however_deep_items_are_an_instance_is_read() -> None:
    request: dict[str, Any] = {"00401002": element("x", "Pain")}
    for _ in range(5_000):
        request = {"00401002": element("x", "Pain"), "00400275": {"vr": "SQ", "Value": [request]}}
    study = collected(STUDY, instance(STUDY, t00400275=[request]))
    assert (of_study(study)["reasonCode"], study.notes) == ([{"text": "Pain"}], set())


# ------------------------------------------------------------------- dose SRs (dicomcast §4.7)


def resources() -> Iterator[dict[str, Any]]:
    """What is written of each value of these tables."""
    for row in ROWS:
        study = collected(STUDY, instance(STUDY, **{f"t{row[1]}": row[2]}), settings=ISSUED)
        yield from (of_patient(study), of_study(study))
    for date, time, offset, *_ in MOMENTS:
        yield of_study(collected(STUDY, instance(STUDY, t00080020=date, t00080030=time, t00080201=offset)))
    for value, *_ in TOTALS:
        yield from (dict(each) for each in collected(STUDY, report(1, total=value)).reports[0].observations)


def components(study: Study, at: int = 0) -> dict[str, Any]:
    observation = study.reports[0].observations[at]
    return {each["code"]["coding"][0]["code"]: each for each in observation.get("component", [])}


TOTALS = [
    ("250.5", 250.5, False),
    (" 250.5 ", 250.5, False),
    (0, 0, False),
    ("1e2", 100, False),
    ("1_000", ABSENT, True),
    ("٣", ABSENT, True),
    ("0x10", ABSENT, True),
    ("much", ABSENT, True),
    ("-Infinity", ABSENT, True),
    ("1e999", ABSENT, True),
    (10**400, ABSENT, True),
    ("", ABSENT, False),
]


def test_a_dose_is_a_finite_number_or_nothing() -> None:
    strict = replace(SETTINGS, enforces_validation=True)
    for value, expected, noted in TOTALS:
        study = collected(STUDY, report(1, total=value))
        found = components(study).get("113813", {}).get("valueQuantity", {}).get("value")
        assert (value, found, study.notes) == (value, expected, {Note("0040A30A", "malformed")} if noted else set())
        refused = [each.tag for each in collected(STUDY, report(1, total=value), settings=strict).refused]
        assert refused == (["0040A30A"] if noted else [])


@pytest.mark.parametrize(
    ("value", "expected", "noted"),
    [("3", 3, False), ("3.0", 3, False), ("0", 0, False), ("1.5", ABSENT, True), ("5000000000", ABSENT, True)],
)
def test_a_count_is_a_whole_number_that_fhir_can_hold(value: str, expected: int | None, noted: bool) -> None:
    found = report(1)
    counted = number(code("113812", "Total Number of Irradiation Events"), value, "{events}", "events")
    found["0040A730"]["Value"][2]["0040A730"]["Value"][0] = counted
    study = collected(STUDY, found)
    assert components(study).get("113812", {}).get("valueInteger") == expected
    assert study.notes == ({Note("0040A30A", "malformed")} if noted else set())


@pytest.mark.parametrize(("uid", "noted"), [("", False), ("abc", True), ("1.2.", True), (BROKEN, False)])
def test_an_event_without_a_uid_is_none(uid: str, noted: bool) -> None:
    study = collected(STUDY, report(1, event(uid), event("2.25.78")))
    assert [each["identifier"][0]["value"] for each in study.reports[0].observations[1:]] == ["urn:oid:2.25.78"]
    assert study.notes == ({Note("0040A124", "malformed")} if noted else set())


@pytest.mark.parametrize(
    ("text", "moment", "noted"),
    [
        ("20250820100000.5", "2025-08-20T10:00:00.5+02:00", False),
        ("20250820100000-0500", "2025-08-20T10:00:00-05:00", False),
        ("2025082010", "2025-08-20", False),
        ("202508", "2025-08", False),
        ("2025", "2025", False),
        ("20250231", ABSENT, True),
        ("2025-08-20", ABSENT, True),
        ("20250820100000+2500", "2025-08-20", True),
    ],
)
def test_when_an_irradiation_began(text: str, moment: str | None, noted: bool) -> None:
    found = report(1)
    found["0040A730"]["Value"][1] = item(code("113809", "Start of X-Ray Irradiation"), t0040A120=text)
    study = collected(STUDY, found)
    assert study.reports[0].observations[0].get("effectiveDateTime") == moment
    assert study.notes == ({Note("0040A120", "malformed")} if noted else set())


def test_a_region_without_a_scheme_is_its_words() -> None:
    study = collected(STUDY, report(1, event("2.25.77", site=code("51185008", "Chest", ""))))
    assert study.reports[0].observations[1]["bodySite"] == {"text": "Chest"}


# --------------------------------------------------------------------------------------- measurement reports (AIX-4)


@pytest.mark.spec("AIX-4")
def test_a_measurement_that_is_no_number_is_noted_and_the_others_are_kept() -> None:
    study = collected(STUDY, measurements(group(measured(VOLUME, "much"), measured(DIAMETER, 2, "mm"))))
    assert [each["valueQuantity"]["value"] for each in study.reports[0].observations] == [2]
    assert study.notes == {Note("0040A30A", "malformed")}


@pytest.mark.spec("AIX-4")
def test_a_tracking_uid_that_is_none_leaves_the_place_in_the_report() -> None:
    study = collected(STUDY, measurements(group(measured(VOLUME, 1), tracking="nodule 1")))
    assert study.reports[0].observations[0]["identifier"][0]["value"] == f"urn:oid:{STUDY}.8.1#4.1.2"
    assert study.notes == {Note("0040A124", "malformed")}
