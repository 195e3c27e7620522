"""Updates of files in other character sets or another order, and archives of both versions."""

import io
import json
import zipfile

import pytest

from shared.dicomweb.document_rules import DocumentRules
from shared.operations.model import OperationStatus
from shared.retrieve.functions import transactions
from shared.retrieve.snapshot import Backend
from tests.builders.http import content, field
from tests.builders.images import SECONDARY_CAPTURE
from tests.builders.odd_files import PIXELS, odd_image
from tests.builders.part10_bytes import explicit
from tests.builders.retrieve import RetrieveService
from tests.builders.updating import DESCRIPTION, IDENTIFIER, NAME, name
from tests.unit.study_updates.test_update import STUDY, dataset, spans, stored, study_of


@pytest.mark.spec("UPD-24", "WADO-32", "ZIP-2", "ZIP-4")
async def test_an_archive_of_the_versions_that_were_stored_has_their_names_and_records(service):
    old = {"PatientID": "old", "PatientName": "Old^Name", "StudyDescription": "Chest"}
    images = study_of(2, SeriesNumber="3", Modality="CT", InstanceNumber="7", **old)
    await stored(service, *images)
    await service.updated([STUDY], {**name("New^Name"), IDENTIFIER: ["new"], DESCRIPTION: []})
    archives = RetrieveService()
    archives.transactions = transactions(Backend(service.lookup, service.blobs), DocumentRules())

    for header, patient in (({}, "new"), ({"msdicom_request_original": "true"}, "old")):
        found = {}
        for query in ("", "dicomdir=true"):
            response = await archives.get(f"studies/{STUDY}", "application/zip", query, **header)
            data = await content(response)
            head = await archives.get(f"studies/{STUDY}", "application/zip", query, method="HEAD", **header)
            assert field(head, "content-length") == str(len(data))
            found[query] = zipfile.ZipFile(io.BytesIO(data))
        names = found[""].namelist()
        assert {each.rpartition("/")[0] for each in names} == {f"{patient}/3_CT"}
        assert all("/7_" in each for each in names)
        assert {dataset(found[""].read(each)).PatientID for each in names} == {patient}
        first, second, _, *files = dataset(found["dicomdir=true"].read("DICOMDIR")).DirectoryRecordSequence
        assert (first.PatientID, str(first.PatientName)) == (patient, f"{patient.title()}^Name")
        assert second.StudyDescription == ("" if patient == "new" else "Chest")
        assert [each.InstanceNumber for each in files] == [7, 7]


@pytest.mark.spec("UPD-20")
@pytest.mark.parametrize(
    ("character_set", "comments", "groups", "now"),
    [
        (["", "ISO 2022 IR 87"], "検査", ("Yamada^Tarou", "山田^太郎", "やまだ^たろう"), ["", "ISO 2022 IR 87"]),
        (
            ["ISO 2022 IR 13", "ISO 2022 IR 87"],
            "検査",
            ("ﾔﾏﾀﾞ^ﾀﾛｳ", "山田^太郎", ""),
            ["ISO 2022 IR 13", "ISO 2022 IR 87"],
        ),
        (["", "ISO 2022 IR 149"], "검사", ("Hong^Gildong", "洪^吉洞", "홍^길동"), ["", "ISO 2022 IR 149"]),
        ("GB18030", "检查", ("Wang^XiaoDong", "王^小东", ""), "GB18030"),
        ("ISO_IR 100", "chest", ("Doe^Jane", "山田^太郎", ""), "ISO_IR 192"),
        (None, "chest", ("Müller^Jörg", "", ""), "ISO_IR 192"),
    ],
)
async def test_a_name_of_several_groups_is_written_in_the_character_set_of_the_file(
    service, character_set, comments, groups, now
):
    [one] = study_of(1, **({"SpecificCharacterSet": character_set} if character_set else {}), PatientComments=comments)
    await stored(service, one)
    value = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=True))

    operation = await service.updated([STUDY], {NAME: [value]})

    assert operation.status is OperationStatus.SUCCEEDED, operation.results
    new = dataset(service.blobs.content((await service.current(one.identifier)).blob))
    assert (new.PatientName, new.PatientComments) == ("=".join(groups).rstrip("="), comments)
    assert new.SpecificCharacterSet == now
    metadata = json.loads((await service.current(one.identifier)).metadata)
    assert metadata[NAME]["Value"] == [{group: text for group, text in value.items() if text}]


@pytest.mark.spec("UPD-20", "UPD-28")
@pytest.mark.parametrize("after", [0x00080016, 0x00100020, 0x00280101, 0x7FE00010])
async def test_a_value_at_another_place_than_its_tag_has_is_replaced_or_the_instance_fails(service, after):
    elements = {after: explicit(after, *_OF[after]) + explicit(0x00100010, "PN", "Old^Name")}
    moved = odd_image(elements, study=STUDY)
    await stored(service, moved)
    before = await service.current(moved.identifier)

    operation = await service.updated([STUDY], name("New^Name"))

    now = await service.current(moved.identifier)
    data = service.blobs.content(now.blob)
    if after == 0x7FE00010:
        assert operation.results["errors"][1].endswith("Its elements are not in the order of their tags.")
        assert (now.original, data) == (None, moved.data)
        return
    assert operation.status is OperationStatus.SUCCEEDED
    assert b"Old^Name" not in data
    assert dataset(data).PatientName == "New^Name"
    assert [data[slice(*frame)] for frame in spans(now.frames)] == [
        moved.data[slice(*frame)] for frame in spans(before.frames)
    ]


_OF = {
    0x00080016: ("UI", SECONDARY_CAPTURE),
    0x00100020: ("LO", "P1"),
    0x00280101: ("US", b"\x08\0"),
    0x7FE00010: ("OB", PIXELS[:4]),
}
