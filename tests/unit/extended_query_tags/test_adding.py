import pytest

from shared.errors import InvalidRequest
from shared.extended_query_tags.paths import tag_path
from shared.extended_query_tags.transaction import MOST_TAGS
from shared.operations.model import OperationType
from tests.builders.http import error, field
from tests.unit.extended_query_tags.service import TagService, read, tag

TEXTS = ("DS", "ST", "LT", "UT", "UC", "UR")
BYTES = ("SQ", "OB", "OW", "OF", "OD", "OL", "OV", "SV", "UV", "UN", "AT")


async def refused(*entries, document=None):
    service = TagService()
    response = await service.add(*entries, document=document)
    assert read(await service.all()) == []
    assert await service.operations.active() == []
    return error(response)


@pytest.mark.spec("EQT-2", "AERR-2")
@pytest.mark.parametrize("document", [b"", b"{", b"nonsense", {}, [1], "text"])
async def test_a_body_that_is_no_array_of_objects_is_refused(document):
    assert await refused(document=document) == (400, "The syntax of the request body is invalid.")


@pytest.mark.spec("EQT-3", "EQT-4", "AERR-3")
@pytest.mark.parametrize(("missing", "value"), [("path", None), ("path", " "), ("level", None), ("level", "")])
async def test_a_path_and_a_level_are_required(missing, value):
    name = missing.title()
    status, text = await refused(tag("PatientAge"), {**tag("PatientSex"), missing: value})
    assert status == 400
    assert text == (
        f"The field '[1].{name}' in request body is invalid: The Dicom Tag Property {name} must be specified and must "
        "not be null, empty or whitespace."
    )


@pytest.mark.spec("EQT-2", "GEN-11")
async def test_a_member_that_is_there_twice_is_neither_of_the_two():
    status, text = await refused({**tag("PatientAge"), "LEVEL": "Series"})
    assert (status, text) == (400, "The field '$[0]' in request body is invalid: It has a member twice.")


@pytest.mark.spec("EQT-5")
async def test_a_level_is_one_of_three():
    assert await refused(tag("PatientAge", "Patient")) == (
        400,
        (
            "The field '$[0].Level' in request body is invalid: Expected value 'Patient' to be one of the following "
            "values: ['Instance', 'Series', 'Study']"
        ),
    )


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        pytest.param(tag("Nonsense"), "cannot be parsed into a valid Dicom Tag", marks=pytest.mark.spec("EQT-7")),
        pytest.param(tag("patientage"), "cannot be parsed into a valid Dicom Tag", marks=pytest.mark.spec("EQT-7")),
        pytest.param(tag("0010101"), "cannot be parsed into a valid Dicom Tag", marks=pytest.mark.spec("EQT-7")),
        *(
            pytest.param(tag(path, **more), "cannot be parsed into a valid Dicom Tag", marks=pytest.mark.spec("EQT-7"))
            for path, more in (
                ("TransferSyntaxUID", {}), ("00020010", {"vr": "UI"}), ("00000002", {"vr": "UI"}),
                ("00041130", {"vr": "CS"}), ("00031001", {"vr": "LO", "privateCreator": "ACME"}),
                ("FFFEE000", {"vr": "LO"}), ("FFFF1001", {"vr": "LO", "privateCreator": "ACME"}),
                ("00290001", {"vr": "LO", "privateCreator": "ACME"}),
            )
        ),
        pytest.param(
            tag("00400275.00321064.00080100"),
            "Sequential dicom tags are currently not supported.",
            marks=pytest.mark.spec("EQT-8"),
        ),
        *(
            pytest.param(
                tag(path, vr="LO", privateCreator="ACME"), "cannot be parsed", marks=pytest.mark.spec("EQT-8")
            )
            for path in ("PatientAge.PatientSex", "00291010.PatientSex", "00400275.00291010", "00400275.", ".00080050")
        ),
        *(
            pytest.param(tag(path), f"The query tag '{path}' is already supported.", marks=pytest.mark.spec("EQT-9"))
            for path in (
                "StudyDate", "StudyInstanceUID", "StudyDescription", "AccessionNumber", "PatientID", "PatientName",
                "ReferringPhysicianName", "PatientBirthDate", "ModalitiesInStudy", "SeriesInstanceUID", "Modality",
                "PerformedProcedureStepStartDate", "ManufacturerModelName", "SOPInstanceUID", "00080060",
            )
        ),
        pytest.param(
            tag("PatientAge", privateCreator="ACME"),
            "The private creator is not empty for standard tag 'PatientAge'.",
            marks=pytest.mark.spec("EQT-10"),
        ),
        *(
            pytest.param(
                tag(path, privateCreator="ACME", vr="LO"),
                f"The private creator is not empty for private identification code '{path}'.",
                marks=pytest.mark.spec("EQT-11"),
            )
            for path in ("00290010", "002900FF")
        ),
        pytest.param(
            tag("00291001", vr="LO"),
            "The private creator for private tag '00291001' is missing.",
            marks=pytest.mark.spec("EQT-12"),
        ),
        *(
            pytest.param(
                tag("00291001", vr="LO", privateCreator=creator), "not a valid value", marks=pytest.mark.spec("EQT-13")
            )
            for creator in ("x" * 65, "A\\B", "A\x07B")
        ),
        pytest.param(
            tag("PatientAge", vr="QQ"),
            "The VR code 'QQ' for tag 'PatientAge' is invalid.",
            marks=pytest.mark.spec("EQT-14"),
        ),
        pytest.param(tag("PatientAge", vr="LO"), "expected VR code for it is 'AS'", marks=pytest.mark.spec("EQT-15")),
        pytest.param(
            tag("00291001", privateCreator="ACME"),
            "The vr for tag '00291001' is missing.",
            marks=pytest.mark.spec("EQT-16"),
        ),
        pytest.param(tag("00081119"), "The vr for tag '00081119' is missing.", marks=pytest.mark.spec("EQT-16")),
        *(
            pytest.param(
                tag("00291001", vr=vr, privateCreator="ACME"),
                f"The VR code '{vr}' specified for tag '00291001' is not supported.",
                marks=pytest.mark.spec("EQT-17"),
            )
            for vr in (*TEXTS, *BYTES)
        ),
    ],
)  # fmt: skip  # read at once: one item a line says no more
async def test_an_entry_that_is_not_valid_refuses_all_of_them(entry, text):
    status, said = await refused(tag("PatientSex"), entry)
    assert status == 400
    assert text in said


@pytest.mark.spec("EQT-18", "EQT-24")
@pytest.mark.parametrize("again", ["PatientAge", "00101010"])
async def test_one_attribute_is_named_once_in_a_request_however_it_is_spelt(again):
    status, said = await refused(tag("PatientAge"), tag(again, "Series"))
    assert (status, said) == (400, f"The extended query tag '{again}' has been specified before.")


@pytest.mark.spec("EQT-19")
async def test_a_request_adds_at_least_one():
    assert await refused(document=[]) == (400, "The extended query tag(s) is missing.")


@pytest.mark.spec("EQT-20")
async def test_there_are_at_most_128_tags():
    service = TagService()
    many = [tag(f"0029{number + 0x1000:04X}", vr="LO", privateCreator="ACME") for number in range(MOST_TAGS)]
    await service.ready(*many[:-1])
    response = await service.add(many[-1], tag("PatientAge"))
    assert error(response) == (400, "Extended query tags exceeds max allowed count '128'.")
    assert (await service.add(many[-1])).status == 202


@pytest.mark.spec("EQT-22", "OP-4", "OP-10")
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_the_answer_names_the_operation_that_makes_the_tags_ready(version):
    service = TagService()
    response = await service.add(
        tag("PatientAge", "INSTANCE"), tag("0029100a", "series", VR="us", PrivateCreator=" ACME "), version=version
    )
    assert response.status == 202
    [(operation_id, kind)] = await service.operations.active()
    assert kind is OperationType.REINDEX
    href = f"http://dicom.example/{version}/operations/{operation_id}"
    assert read(response) == {"id": operation_id, "href": href}
    assert field(response, "location") == href
    operation = {"id": operation_id, "href": href.replace(version, "v2")}
    adding = {"status": "adding", "queryStatus": "enabled", "operation": operation}
    assert read(await service.all()) == [
        {"path": "00101010", "vr": "AS", "level": "instance", **adding},
        {"path": "0029100A", "vr": "US", "level": "series", "privateCreator": "ACME", **adding},
    ]
    stored = await service.operations.get(operation_id)
    assert stored.resources == ("extendedquerytags/00101010", "extendedquerytags/0029100A")


@pytest.mark.spec("EQT-6", "OP-8")
async def test_nothing_is_added_while_a_reindex_is_under_way():
    service = TagService()
    await service.add(tag("PatientAge"))
    [(operation_id, _)] = await service.operations.active()
    response = await service.add(tag("PatientSex"))
    assert error(response) == (409, f"There is already an active re-index operation with ID '{operation_id}'.")
    assert field(response, "location") == f"http://dicom.example/v2/operations/{operation_id}"
    assert [each["path"] for each in read(await service.all())] == ["00101010"]


@pytest.mark.spec("EQT-21")
async def test_a_tag_that_exists_refuses_all_of_them():
    service = TagService()
    await service.ready(tag("PatientAge"))
    response = await service.add(tag("PatientSex"), tag("00101010", "Series"))
    assert error(response) == (409, "One or more extended query tags already exist.")
    assert [each["path"] for each in read(await service.all())] == ["00101010"]


@pytest.mark.spec("EQT-23")
async def test_a_request_that_died_before_its_operation_can_be_repeated():
    service = TagService()
    create = service.operations.create

    async def dies(*_args, **_more):
        raise RuntimeError

    service.operations.create = dies
    assert (await service.add(tag("PatientAge"))).status == 500
    service.operations.create = create
    assert "operation" not in read(await service.retrieve("PatientAge"))

    assert (await service.add(tag("PatientAge"))).status == 202
    await service.runner.run()
    assert read(await service.retrieve("PatientAge"))["status"] == "ready"


@pytest.mark.spec("EQT-23")
async def test_what_a_request_left_behind_gets_ready_by_itself():
    service = TagService()
    create = service.operations.create

    async def dies(*_args, **_more):
        raise RuntimeError

    service.operations.create = dies
    await service.add(tag("PatientAge"))
    service.operations.create = create
    await service.reindex()
    assert read(await service.retrieve("PatientAge"))["status"] == "ready"


@pytest.mark.spec("EQT-6")
async def test_of_two_requests_at_the_same_time_one_is_refused_and_leaves_nothing():
    service = TagService()
    create, others = service.operations.create, []

    async def slower(*args, **more):
        if not others:
            others.append(await create(OperationType.REINDEX, {"schema": 1}))
        return await create(*args, **more)

    service.operations.create = slower
    response = await service.add(tag("PatientAge"))
    assert error(response) == (409, f"There is already an active re-index operation with ID '{others[0].id}'.")
    assert read(await service.all()) == []


async def test_a_body_that_is_too_large_is_refused():
    service = TagService()
    assert (await service.add(document=b"[" + b" " * 300_000)).status == 413


@pytest.mark.spec("EQT-7", "ERR-1")
@pytest.mark.parametrize("text", ["Nonsense", "00400275.00400008.00080100"])
def test_a_path_that_names_no_attribute_is_looked_for_where_it_stands(text):
    for where in ("path, {tag}", "request body"):
        with pytest.raises(InvalidRequest) as refused:
            tag_path(text, where)
        assert refused.value.where == where
