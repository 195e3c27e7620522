from dataclasses import replace

import orjson
import pytest

from shared.dicomweb.versions import ApiVersion
from tests.builders.archive import Archive

V1, V2 = ApiVersion.V1, ApiVersion.V2


def header(response, name: str) -> str | None:
    return next((value for key, value in response.headers if key.lower() == name.lower()), None)


async def archive_with(**values) -> Archive:
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", **values)
    return archive


@pytest.mark.spec("QIDO-2", "JSON-9")
async def test_results_are_an_array_of_data_sets_and_none_is_204_without_body():
    archive = await archive_with(PatientID="P")

    found, none = await archive.response("PatientID=P"), await archive.response("PatientID=Q")

    assert (found.status, header(found, "Content-Type")) == (200, "application/dicom+json")
    assert isinstance(orjson.loads(found.body), list)
    assert (none.status, none.body, header(none, "Content-Type")) == (204, b"", None)


@pytest.mark.spec("QIDO-44", "STOW-41")
async def test_a_warning_says_that_there_is_more():
    archive = Archive()
    for number in range(3):
        await archive.store(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1")

    assert header(await archive.response("limit=2"), "Warning") == (
        '299 dicom.example: "There are additional results that can be requested"'
    )
    assert header(await archive.response("limit=3"), "Warning") is None


@pytest.mark.spec("D-27", "STOW-41")
@pytest.mark.parametrize(("patient", "status"), [("P", 200), ("Q", 204)])
async def test_a_warning_names_parameters_that_are_not_known(patient, status):
    archive = await archive_with(PatientID="P")

    response = await archive.response(f"PatientID={patient}&includedefaults=false&onlyWithStudies=true")

    assert response.status == status
    assert header(response, "Warning") == (
        '299 dicom.example: "Query parameters that are not known here were ignored: includedefaults, onlyWithStudies"'
    )


@pytest.mark.spec("D-27")
async def test_a_warning_names_ten_of_many_parameters():
    archive = await archive_with(PatientID="P")

    warning = header(await archive.response("&".join(f"zz{number}=1" for number in range(12))), "Warning")

    assert "zz9 and 2 more" in warning
    assert "zz10" not in warning


@pytest.mark.spec("QIDO-39")
@pytest.mark.parametrize("version", [V1, V2])
@pytest.mark.parametrize("values", [{}, {"Modality": ""}])
async def test_a_study_without_modality_has_no_modalities_in_study(values, version):
    archive = await archive_with(PatientID="P", **values)

    (found,) = await archive.found(
        "includefield=ModalitiesInStudy,Modality,NumberOfStudyRelatedSeries", version=version
    )

    assert "00080061" not in found
    assert found["00201206"]["Value"] == [1]


@pytest.mark.spec("JSON-1", "JSON-5", "QIDO-31")
async def test_the_default_study_attributes_of_v2_come_from_rows_in_ascending_order():
    archive = await archive_with(
        PatientName="Doe^John=ドウ^ジョン",
        PatientID="P\0",
        StudyDate="20200101 ",
        StudyDescription="Chest",
        PatientSex="F",
        Modality="CT",
    )

    (found,) = await archive.found()

    assert found == {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00080020": {"vr": "DA", "Value": ["20200101"]},
        "00081030": {"vr": "LO", "Value": ["Chest"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^John", "Ideographic": "ドウ^ジョン"}]},
        "00100020": {"vr": "LO", "Value": ["P\0"]},
        "0020000D": {"vr": "UI", "Value": ["1.1"]},
    }
    assert list(found) == sorted(found)


@pytest.mark.spec("QIDO-30")
async def test_the_long_study_defaults_of_v1():
    archive = await archive_with(
        PatientName="Doe", PatientID="P", StudyTime="1030", PatientSex="F", StudyID="7", TimezoneOffsetFromUTC="+0100"
    )

    (found,) = await archive.found(version=V1)

    assert set(found) == {"00080030", "00080201", "00100010", "00100020", "00100040", "0020000D", "00200010"}
    assert found["00080201"]["Value"] == ["+0100"]


@pytest.mark.spec("JSON-7")
async def test_the_character_set_tells_the_truth_unless_it_is_wanted_as_stored():
    archive = await archive_with(PatientName="Doe", PatientID="P", SpecificCharacterSet=["", "ISO 2022 IR 87"])

    assert "00080005" not in (await archive.found(version=V1))[0]

    response = await archive.response(version=V1, as_stored=True)
    assert orjson.loads(response.body)[0]["00080005"] == {"vr": "CS", "Value": ["", "ISO 2022 IR 87"]}


@pytest.mark.spec("QIDO-31", "STOW-22")
async def test_an_empty_patient_id_is_returned_without_value():
    archive = await archive_with(PatientID="", PatientName="Doe")

    (found,) = await archive.found()

    assert found["00100020"] == {"vr": "LO"}
    assert "00080050" not in found


@pytest.mark.spec("QIDO-38", "IDX-2")
@pytest.mark.parametrize("fields", ["", "includefield=Rows"])
async def test_row_values_do_not_depend_on_what_else_is_asked_for(fields):
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", PatientName="Doe", PatientID="P", Rows=1)
    await archive.store("1.1", "1.1.1", "1.1.1.2", PatientID="P", Rows=2)

    (found,) = await archive.found(fields)

    assert found["00100010"]["Value"] == [{"Alphabetic": "Doe"}]
    assert found.get("00280010", {}).get("Value") == ([2] if fields else None)


@pytest.mark.spec("QIDO-34")
async def test_lower_attributes_of_a_study_are_those_of_its_newest_instance():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", Modality="CT", InstanceNumber=1)
    await archive.store("1.1", "1.1.2", "1.1.2.1", Modality="MR", InstanceNumber=2)
    await archive.store("1.1", "1.1.1", "1.1.1.2", Modality="CT", InstanceNumber=3)

    (found,) = await archive.found("includefield=Modality,SeriesInstanceUID,SOPInstanceUID,InstanceNumber")

    assert found["00080060"]["Value"] == ["CT"]
    assert found["0020000E"]["Value"] == ["1.1.1"]
    assert found["00080018"]["Value"] == ["1.1.1.2"]
    assert found["00200013"]["Value"] == [3]


async def test_an_attribute_of_studies_and_series_is_the_latest_one_of_each():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", TimezoneOffsetFromUTC="+0100")
    await archive.store("1.1", "1.1.2", "1.1.2.1", TimezoneOffsetFromUTC="+0200")
    await archive.store("1.1", "1.1.1", "1.1.1.2")

    (study,) = await archive.found("includefield=00080201")
    series = await archive.found("includefield=00080201", "search_series")

    assert study["00080201"]["Value"] == ["+0200"]
    assert [item["00080201"]["Value"] for item in series] == [["+0200"], ["+0100"]]


@pytest.mark.spec("QIDO-34")
async def test_any_attribute_can_be_included_private_and_nested_ones_too():
    archive = Archive()
    instance = archive.new("1.1", "1.1.1", "1.1.1.1", RequestAttributesSequence=[{"RequestedProcedureID": "R"}, {}])
    document = orjson.loads(instance.metadata) | {"00091001": {"vr": "LO", "Value": ["x"]}}
    document["00400275"]["Value"][0]["00400007"] = {"vr": "LO", "Value": ["step"]}
    await archive.store_all([replace(instance, metadata=orjson.dumps(document))])

    (found,) = await archive.found("includefield=00091001,00400275.00401001,00400275.00400009")
    assert found["00091001"] == {"vr": "LO", "Value": ["x"]}
    assert found["00400275"] == {"vr": "SQ", "Value": [{"00401001": {"vr": "SH", "Value": ["R"]}}, {}]}

    (found,) = await archive.found("includefield=00400275.00401001,RequestAttributesSequence")
    assert set(found["00400275"]["Value"][0]) == {"00401001", "00400007"}


@pytest.mark.spec("QIDO-36")
async def test_bulk_values_are_never_returned_nested_ones_neither():
    archive = Archive()
    instance = archive.new("1.1", "1.1.1", "1.1.1.1", RequestAttributesSequence=[{"RequestedProcedureID": "R"}])
    document = orjson.loads(instance.metadata)
    document["7FE00010"] = {"vr": "OW", "BulkDataURI": "7FE00010"}
    document["00400275"]["Value"][0]["00091001"] = {"vr": "OB", "BulkDataURI": "00400275/1/00091001"}
    await archive.store_all([replace(instance, metadata=orjson.dumps(document))])

    (found,) = await archive.found("includefield=PixelData,RequestAttributesSequence", "search_instances")

    assert "7FE00010" not in found
    assert found["00400275"]["Value"] == [{"00401001": {"vr": "SH", "Value": ["R"]}}]


@pytest.mark.spec("QIDO-35", "QIDO-37", "MATCH-8")
async def test_computed_attributes_of_a_study():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", Modality="CT")
    await archive.store("1.1", "1.1.1", "1.1.1.2", Modality="CT")
    await archive.store("1.1", "1.1.2", "1.1.2.1", Modality="MR")
    await archive.store("1.1", "1.1.3", "1.1.3.1")
    fields = "00080061,00201206,00201208,00081190,00080056,00083002"

    (found,) = await archive.found(f"includefield={fields}")

    assert found["00080061"] == {"vr": "CS", "Value": ["CT", "MR"]}
    assert found["00201206"] == {"vr": "IS", "Value": [3]}
    assert found["00201208"] == {"vr": "IS", "Value": [4]}
    assert found["00081190"] == {"vr": "UR", "Value": ["https://dicom.example/v2/studies/1.1"]}
    assert found["00080056"] == {"vr": "CS", "Value": ["ONLINE"]}
    assert found["00083002"] == {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
    assert not set(fields.split(",")) & set((await archive.found())[0])

    await archive.delete("1.1", "1.1.1")
    (found,) = await archive.found("includefield=00080061,00201208&ModalitiesInStudy=MR")
    assert found["00080061"]["Value"] == ["MR"]
    assert found["00201208"]["Value"] == [2]


@pytest.mark.spec("QIDO-35", "QIDO-37")
async def test_computed_attributes_of_series_and_instances():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", Modality="CT")
    await archive.store("1.1", "1.1.1", "1.1.1.2", Modality="CT")
    fields = "includefield=00201209,00081190,00080061"

    (series,) = await archive.found(fields, "search_series")
    assert series["00201209"]["Value"] == [2]
    assert series["00081190"]["Value"] == ["https://dicom.example/v2/studies/1.1/series/1.1.1"]
    assert series["00080061"]["Value"] == ["CT"]
    assert "00080061" not in (await archive.found(fields, "search_series", V1))[0]

    newest, _ = await archive.found(f"{fields},AvailableTransferSyntaxUID", "search_instances")
    assert newest["00081190"]["Value"] == ["https://dicom.example/v2/studies/1.1/series/1.1.1/instances/1.1.1.2"]
    assert newest["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]


@pytest.mark.spec("QIDO-33", "QIDO-35")
@pytest.mark.parametrize("version", [V1, V2])
async def test_all_returns_the_long_list_and_what_is_computed(version):
    archive = await archive_with(
        PatientID="P",
        PatientAge="010Y",
        AdmittingDiagnosesDescription=["a", "b"],
        Modality="CT",
        ManufacturerModelName="M",
        SeriesNumber=3,
    )

    (study,) = await archive.found("includefield=all", version=version)
    assert study["00081080"]["Value"] == ["a", "b"]
    assert {"00101010", "00080061", "00201206", "00201208", "00081190", "00080056"} <= set(study)
    assert "00080060" not in study

    (series,) = await archive.found("includefield=ALL", "search_study_series", version, study="1.1")
    assert {"00081090", "00200011", "00080060", "00201209"} <= set(series)
    assert "00100020" not in series


@pytest.mark.spec("QIDO-30", "MATCH-10")
async def test_an_instance_speaks_for_itself_though_it_is_found_by_its_study():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", PatientName="Old")
    await archive.store("1.1", "1.1.1", "1.1.1.2", PatientName="New")

    found = await archive.found("PatientName=New", "search_instances")

    assert [item["00100010"]["Value"][0]["Alphabetic"] for item in found] == ["New", "Old"]
    assert all({"00080018", "0020000D", "0020000E"} <= set(item) for item in found)


async def test_instances_of_a_series_carry_the_uids_of_the_path():
    archive = await archive_with(InstanceNumber=1)

    (found,) = await archive.found("", "search_series_instances", study="1.1", series="1.1.1")

    assert {tag: element["Value"] for tag, element in found.items()} == {
        "00080018": ["1.1.1.1"],
        "0020000D": ["1.1"],
        "0020000E": ["1.1.1"],
    }


async def test_metadata_may_be_in_a_blob():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", Rows=5, inline=False)

    (study,) = await archive.found("includefield=Rows")
    (instance,) = await archive.found("includefield=Rows", "search_instances")

    assert study["00280010"]["Value"] == instance["00280010"]["Value"] == [5]


@pytest.mark.spec("QIDO-50")
async def test_times_in_an_old_notation_and_time_zones_are_returned_as_stored():
    archive = await archive_with(StudyTime="10:30", TimezoneOffsetFromUTC="+0100")

    (found,) = await archive.found("includefield=StudyTime,TimezoneOffsetFromUTC")

    assert found["00080030"]["Value"] == ["10:30"]
    assert found["00080201"]["Value"] == ["+0100"]


async def test_numbers_of_rows_are_numbers():
    archive = await archive_with(SeriesNumber=3, PatientSize=1.75, PatientWeight="x")

    (found,) = await archive.found("includefield=SeriesNumber,PatientSize,PatientWeight", "search_series")

    assert found["00200011"]["Value"] == [3]
    assert found["00101020"]["Value"] == [1.75]
    assert found["00101030"]["Value"] == ["x"]


# ------------------------------------------------------------------------------------------ changes while it searches


async def test_a_study_that_vanishes_before_its_metadata_are_read_is_left_out():
    archive = Archive()
    for study in ("1.1", "1.2"):
        await archive.store(study, f"{study}.1", f"{study}.1.1", Rows=5)
    archive.tables.before = deletes(archive, "1.2")

    found = await archive.found("includefield=Rows")

    assert [item["0020000D"]["Value"] for item in found] == [["1.1"]]


async def test_a_study_whose_newest_instance_vanishes_is_described_by_the_next():
    archive = Archive()
    await archive.store("1.1", "1.1.1", "1.1.1.1", Rows=1)
    await archive.store("1.1", "1.1.1", "1.1.1.2", Rows=2)
    archive.tables.before = deletes(archive, "1.1", "1.1.1", "1.1.1.2")

    for resource in ("search_studies", "search_series"):
        found = await archive.found("includefield=Rows", resource)
        assert [item["00280010"]["Value"] for item in found] == [[1]]


async def test_an_instance_that_vanishes_before_its_metadata_are_read_is_left_out():
    archive = Archive()
    for number in range(4):
        await archive.store("1.1", "1.1.1", f"1.1.1.{number}", Rows=number)
    archive.tables.before = deletes(archive, "1.1", "1.1.1", "1.1.1.2")

    found = await archive.found("includefield=Rows&limit=1&offset=1", "search_instances")

    assert found == []


def deletes(archive: Archive, *scope: str):
    """A hook that deletes `scope` just before the first read of a single row, which is that of metadata."""
    pending = [scope]

    async def before(kind: str, operation: str) -> None:
        if operation == "get" and kind == "dicom" and pending:
            await archive.delete(*pending.pop())

    return before
