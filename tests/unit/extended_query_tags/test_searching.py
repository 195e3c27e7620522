from dataclasses import replace
from urllib.parse import quote

import orjson
import pytest
from pydicom.datadict import tag_for_keyword

from tests.builders.http import DEFAULT_PARTITION, error
from tests.unit.extended_query_tags.service import TagService, read, tag
from tests.unit.upkeep.release import Partitions

NOT_QUERYABLE = "The query parameter 'PatientAge' is invalid. The attribute is not queryable at this resource."


async def service_of(entry, *values, level="Study"):
    """A service with one instance for each value, the first half stored before the tag was added."""
    service = TagService()
    keyword = entry["path"]
    for number, value in enumerate(values, start=1):
        if number == len(values) // 2 + 1:
            await service.ready({**entry, "level": level})
        await service.store(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", **{keyword: value})
    return service


@pytest.mark.spec("QIDO-17", "EQT-31")
async def test_a_tag_is_searched_by_when_it_is_ready_and_enabled_alone():
    service = TagService()
    await service.store("1.1", "1.1.1", "1.1.1.1", PatientAge="042Y")

    async def refused():
        status, text = error(await service.search("PatientAge=042Y"))
        assert status == 400
        return text

    assert (await refused()).startswith(NOT_QUERYABLE)
    await service.add(tag("PatientAge"))
    assert (await refused()).startswith(NOT_QUERYABLE)
    await service.runner.run()
    assert (await service.search("PatientAge=042Y")).status == 200
    assert (await service.search("00101010=043Y")).status == 204
    await service.patch("PatientAge", {"queryStatus": "Disabled"})
    assert "Query is disabled on specified attribute 'PatientAge'." in await refused()
    await service.patch("PatientAge", {"queryStatus": "Enabled"})
    assert (await service.search("PatientAge=042Y")).status == 200


@pytest.mark.spec("QIDO-17")
async def test_a_process_that_has_not_heard_of_it_looks_again_before_it_refuses():
    service = TagService()
    await service.store("1.1", "1.1.1", "1.1.1.1", PatientAge="042Y")
    await service.add(tag("PatientAge"))
    other = TagService(beside=service)
    adding = await other.schemas.refresh()

    async def current():
        return adding

    other.schemas.current = current
    await service.runner.run()
    assert (await other.search("PatientAge=042Y")).status == 200


@pytest.mark.parametrize(
    ("level", "found"),
    [
        ("Study", {"studies": 1, "series": 2, "instances": 3}),
        ("Series", {"series": 1, "instances": 2}),
        ("Instance", {"instances": 1}),
    ],
)
@pytest.mark.spec("EQT-34", "IDX-7")
async def test_a_level_has_one_value_and_is_searched_at_its_resources(level, found):
    service = TagService()
    await service.store("1.1", "1.1.1", "1.1.1.1", ProtocolName="first")
    await service.store("1.1", "1.1.1", "1.1.1.2", ProtocolName="latest")
    await service.ready(tag("ProtocolName", level))
    await service.store("1.1", "1.1.2", "1.1.2.1")

    async def count_of(query):
        answers = {
            each: await service.search(query, each, f"search_{each}") for each in ("studies", "series", "instances")
        }
        return {each: len(read(answer)) for each, answer in answers.items() if answer.status == 200}

    assert await count_of("ProtocolName=latest") == found
    assert await count_of("ProtocolName=first") == ({"instances": 1} if level == "Instance" else {})
    await service.delete("1.1", "1.1.1", "1.1.1.2")
    assert await count_of("ProtocolName=latest") == {}
    await service.clean_up()
    assert await service.instances("ProtocolName=first") != []


STORED_AS = [
    ("ContentCreatorName", "Doe^John", "doe^john", "Doe^Jane"),
    ("PatientAge", "042Y", "042y", "042M"),
    ("StationAETitle", "STORE1", "store1", "STORE"),
    ("BodyPartExamined", "CHEST", "ch*", "HEAD"),
    ("ProtocolName", "T1 axial", "t1*", "t2*"),
    ("FrameOfReferenceUID", "1.2.3", "1.2.3", "1.2"),
    ("ContentDate", "20260131", "20260101-20260201", "20260201-"),
    ("ContentTime", "000000", "0000-0001", "0100-"),
    ("AcquisitionDateTime", "20260131235959.5+0100", "20260131", "20260201-"),
    ("AcquisitionDateTime", "20260228235959.5", "202602", "20260228235959.6-"),
    ("AcquisitionNumber", 7, "0007", "8"),
    ("Rows", 512, "0512", "511"),
    ("RegionFlags", 70000, "70000", "70001"),
    ("ReferencePixelX0", -3, "-3", "3"),
    ("TagAngleSecondAxis", -5, "-5", "5"),
    ("RecommendedDisplayFrameRateInFloat", 1.1, "1.1", "1.2"),
    ("DiffusionBValue", 1.1, "1.10", "1.11"),
]


@pytest.mark.spec("QIDO-51", "EQT-30", "D-43")
@pytest.mark.parametrize(("keyword", "stored", "match", "other"), STORED_AS)
@pytest.mark.parametrize("level", ["Study", "Series", "Instance"])
async def test_values_are_found_by_their_vr_stored_before_and_after(keyword, stored, match, other, level):
    service = await service_of(tag(keyword), stored, stored, level=level)
    assert await service.instances(f"{keyword}={match}") == ["1.2.1.1", "1.1.1.1"]
    assert await service.instances(f"{keyword}={other}") == []
    assert (await service.search(f"{keyword}=*", "instances", "search_instances")).status == 200


@pytest.mark.parametrize(
    ("keyword", "query"),
    [
        ("AcquisitionNumber", "x"),
        ("DiffusionBValue", "x"),
        ("ContentDate", "2026"),
        ("ContentTime", "25"),
        ("AcquisitionDateTime", "20260131+0100"),
        ("PatientAge", ""),
    ],
)
@pytest.mark.spec("EQT-31")
async def test_a_matching_key_is_checked_by_its_vr(keyword, query):
    service = TagService()
    await service.ready(tag(keyword))
    assert (await service.search(f"{keyword}={query}".replace("+", "%2B"))).status == 400


async def test_names_are_matched_fuzzily():
    service = await service_of(tag("ContentCreatorName"), "Doe^John Peter", "Roe^John")
    assert await service.studies("ContentCreatorName=pet doe&fuzzymatching=true") == []
    assert await service.studies("ContentCreatorName=john pet&fuzzymatching=true") == ["1.1"]


@pytest.mark.spec("EQT-33")
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("AcquisitionNumber", "x"),
        ("AcquisitionNumber", str(2**31)),
        ("Rows", 2**16),
        ("ContentDate", "20260230"),
        ("ContentTime", "9999"),
        ("AcquisitionDateTime", "nothing"),
        ("PatientAge", "42 years"),
        ("DiffusionBValue", "NaN"),
        ("BodyPartExamined", "X" * 17),
        ("BodyPartExamined", ""),
    ],
)
async def test_a_value_that_is_not_valid_or_empty_is_not_indexed_and_stops_nothing(keyword, value):
    service = await service_of(tag(keyword), value, value)
    assert len(read(await service.errors(keyword))) == (1 if value else 0)
    await service.patch(keyword, {"queryStatus": "Enabled"})
    assert await service.studies(f"{keyword}=*") == ["1.2", "1.1"]
    assert [row for row in service.tables.rows("idx") if row.row_key.startswith("t2x0")] == []


@pytest.mark.spec("EQT-33")
async def test_of_several_values_the_first_one_is_found():
    service = await service_of(tag("ImageType"), ["ORIGINAL", "PRIMARY"], ["DERIVED"])
    assert await service.studies("ImageType=ORIGINAL") == ["1.1"]
    assert await service.studies("ImageType=PRIMARY") == []
    [found] = await service.found("ImageType=ORIGINAL")
    assert found["00080008"]["Value"] == ["ORIGINAL", "PRIMARY"]


@pytest.mark.spec("D-28")
async def test_an_element_inside_a_sequence_is_found():
    service = TagService()
    item = {"RequestAttributesSequence": [{"AccessionNumber": "A1"}, {"AccessionNumber": "A2"}]}
    await service.store("1.1", "1.1.1", "1.1.1.1", **item)
    await service.ready(tag("RequestAttributesSequence.AccessionNumber", "Series"))
    path = "00400275.00080050"
    assert read(await service.retrieve(path))["path"] == path
    assert await service.series("RequestAttributesSequence.AccessionNumber=a1") == ["1.1.1"]
    assert await service.series(f"{path}=A2") == []


@pytest.mark.spec("D-28", "EQT-33", "EQT-34")
@pytest.mark.parametrize("level", ["Study", "Series", "Instance"])
@pytest.mark.parametrize(
    ("path", "value", "match", "other"),
    [
        ("ProcedureCodeSequence.CodeValue", "CT01", "ct*", "MR*"),
        ("ReferencedPerformedProcedureStepSequence.ReferencedSOPInstanceUID", "1.2.3", "1.2.3", "1.2"),
        ("RequestAttributesSequence.RequestingPhysician", "Doe^John", "doe^john", "Roe*"),
        ("ContrastBolusAgentSequence.ContentDate", "20260131", "20260101-", "-20251231"),
    ],
)
async def test_a_path_has_levels_and_matching_of_its_element(path, value, match, other, level):
    sequence, keyword = path.split(".")
    service = TagService()
    await service.store("1.1", "1.1.1", "1.1.1.1", **{sequence: [{keyword: value}]})
    await service.ready(tag(path, level))
    await service.store("1.2", "1.2.1", "1.2.1.1", **{sequence: [{keyword: value}]})
    await service.store("1.3", "1.3.1", "1.3.1.1", **{sequence: []})
    assert await service.instances(f"{path}={match}") == ["1.2.1.1", "1.1.1.1"]
    assert await service.instances(f"{path}={other}") == []
    [first, _] = await service.found(f"{path}={match}&includefield={path}", "search_instances")
    assert sequence_of(first, sequence)


def sequence_of(found, keyword):
    """The items of a sequence in a result."""
    return found[f"{tag_for_keyword(keyword):08X}"]["Value"]


@pytest.mark.spec("EQT-30", "DP-8", "DP-10")
async def test_a_tag_is_of_every_data_partition_and_its_values_stay_in_theirs(monkeypatch):
    ward = replace(DEFAULT_PARTITION, name="ward", namespace="ward")

    async def both(_):
        return [DEFAULT_PARTITION, ward]

    monkeypatch.setattr(Partitions, "partitions", both)
    service = TagService()

    async def store(study, **values):
        for partition, value in values.items():
            service.partition = ward if partition == "ward" else DEFAULT_PARTITION
            await service.store(study, f"{study}.1", f"{study}.1.1", InstitutionName=value)

    await store("1.1", default="here", ward="there")
    await service.ready(tag("InstitutionName"))
    await store("1.2", ward="there", default="here")

    for partition, own, foreign in ((DEFAULT_PARTITION, "here", "there"), (ward, "there", "here")):
        service.partition = partition
        assert await service.studies(f"InstitutionName={own}") == ["1.2", "1.1"]
        assert await service.studies(f"InstitutionName={foreign}") == []


def with_private(instance, creators):
    """An instance with private elements (0029,bb01), each with the name of its creator as value."""
    data_set = orjson.loads(instance.metadata)
    for block, creator in creators.items():
        data_set[f"002900{block:02X}"] = {"vr": "LO", "Value": [creator]}
        data_set[f"0029{block:02X}01"] = {"vr": "LO", "Value": [creator.lower()]}
    return data_set


@pytest.mark.spec("EQT-12")
async def test_a_private_element_is_found_in_the_block_that_its_creator_has_reserved():
    service = TagService()

    async def store(number, creators):
        new = service.new(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1")
        data_set = with_private(new, creators)
        study, series, own = service.schemas.known.extract(data_set)
        await service.store_all(
            [replace(new, metadata=orjson.dumps(data_set), study=study, series=series, instance=own)]
        )

    await store(1, {0x10: "ACME", 0x11: "OTHER"})
    await store(2, {0x10: "OTHER", 0x11: "ACME"})
    await service.ready(tag("00291001", vr="LO", privateCreator="ACME"))
    assert await service.studies("00291001=acme") == ["1.2", "1.1"]
    await store(3, {0x12: "ACME"})
    await store(4, {0x10: "OTHER"})
    assert await service.studies("00291001=acme") == ["1.3", "1.2", "1.1"]
    assert await service.studies("00291001=other") == []
    found = {each["0020000D"]["Value"][0]: each for each in await service.found("00291001=acme")}
    assert found["1.3"]["00291201"] == {"vr": "LO", "Value": ["acme"]}
    assert found["1.3"]["00290012"] == {"vr": "LO", "Value": ["ACME"]}


@pytest.mark.spec("EQT-12", "EQT-40", "EQT-41", "EQT-33")
async def test_an_element_of_another_vr_than_its_tag_is_an_error_and_never_found():
    service = TagService()

    async def store(number):
        new = service.new(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1")
        data_set = with_private(new, {0x10: "ACME"})
        study, series, own = service.schemas.known.extract(data_set)
        await service.store_all(
            [replace(new, metadata=orjson.dumps(data_set), study=study, series=series, instance=own)]
        )

    await store(1)
    await service.ready(tag("00291001", vr="SH", privateCreator="ACME"))
    await store(2)
    [fault] = read(await service.errors("00291001"))
    assert (fault["studyInstanceUid"], fault["errorMessage"]) == (
        "1.1",
        "The element has another VR than the tag.",
    )
    assert read(await service.retrieve("00291001"))["queryStatus"] == "disabled"
    await service.patch("00291001", {"queryStatus": "Enabled"})
    assert await service.studies("00291001=acme") == []


@pytest.mark.spec("D-28", "EQT-33")
async def test_of_several_items_the_first_that_has_the_element_is_found():
    service = TagService()
    items = [{}, {"AccessionNumber": ""}, {"AccessionNumber": "A2"}, {"AccessionNumber": "A3"}]
    await service.store("1.1", "1.1.1", "1.1.1.1", RequestAttributesSequence=items)
    await service.ready(tag("RequestAttributesSequence.AccessionNumber", "Series"))
    assert await service.series("00400275.00080050=A2") == ["1.1.1"]
    assert await service.series("00400275.00080050=A3") == []


@pytest.mark.spec("EQT-30")
async def test_a_name_is_matched_in_each_of_its_groups_and_components():
    service = await service_of(tag("ContentCreatorName"), "Yamada^Tarou=山田^太郎=やまだ^たろう", "Doe^John")
    for match in ("yamada^tarou", "Yamada*", "*^Tarou*", "山田*", "*太郎*", "*やまだ*"):
        assert await service.studies(f"ContentCreatorName={quote(match)}") == ["1.1"], match
    assert await service.studies("ContentCreatorName=Tarou") == []


async def test_an_element_that_the_standard_does_not_have_can_be_a_tag():
    service = TagService()
    await service.ready(tag("00080fff", vr="LO"))
    assert (await service.search("00080FFF=x&includefield=00080fff")).status == 204


@pytest.mark.spec("QIDO-36")
@pytest.mark.parametrize("level", ["Study", "Series", "Instance"])
async def test_a_search_by_a_tag_costs_what_one_by_a_built_in_attribute_of_its_level_costs(level):
    service = TagService()
    built_in = {"Study": "AccessionNumber", "Series": "SeriesNumber", "Instance": "InstanceNumber"}[level]
    resource = {"Study": "studies", "Series": "series", "Instance": "instances"}[level]
    for number in range(1, 30):
        values = {"StationName": f"S{number}", "AccessionNumber": f"A{number}", "SeriesNumber": number}
        await service.store(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", **values)
    await service.ready(tag("StationName", level))

    async def cost(query):
        service.requests.clear()
        response = await service.search(query, resource, f"search_{resource}")
        assert len(read(response)) == 1
        return {kind: count for kind, count in service.requests.items() if kind != "conf"}

    own = await cost("StationName=S7")
    if level == "Instance":
        # The study, the instance, and the metadata of it for what searches return by default.
        assert own == {"idxi": service.shards, "dicom": 3}
    else:
        assert own == await cost(f"{built_in}={'A7' if level == 'Study' else 7}")
    assert service.blobs.requests == 0
