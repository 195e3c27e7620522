"""Studies, series and instances as zip archives."""

import io
import re
import zipfile
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from pydicom import dcmread

from shared.dicom.identifiers import InstanceIdentifier
from shared.retrieve.instances import zip_answer, zip_names, zip_stream
from shared.retrieve.instances.zip_names import entry_names
from shared.retrieve.instances.zip_stream import Entry, zipped, zipped_length
from tests.builders.http import content, field
from tests.builders.images import ELE, ILE, J2K_LOSSLESS, JPEG, MPEG2, image, new_uid
from tests.builders.retrieve import RetrieveService
from tests.builders.service import PARTITION
from tests.unit.retrieve.test_instances import scope

ZIP = "application/zip"
NOW = datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC)


async def archive_of(service, path, accept=ZIP, query=""):
    body = await service.body(path, accept, query)
    found = zipfile.ZipFile(io.BytesIO(body))
    assert found.testzip() is None
    return found


def contents(found):
    return sorted(found.read(name) for name in found.namelist())


async def stored(service, *images):
    await service.archive.store(*images)
    return f"studies/{images[0].identifier.study_instance_uid}"


# ----------------------------------------------------------------------------------------------------------- content


@pytest.mark.spec("ZIP-1", "ZIP-3")
@pytest.mark.parametrize("query", ["", "accept=application/zip", "accept=application%2Fzip"])
async def test_a_study_is_an_archive_of_its_files_as_stored(service, query):
    study = new_uid()
    images = [image(study), image(study, syntax=JPEG), image(study, size=(1200, 1200))]
    path = await stored(service, *images)

    response = await service.get(path, ZIP if not query else "*/*", query)
    body = await content(response)
    found = zipfile.ZipFile(io.BytesIO(body))

    assert (response.status, field(response, "content-type")) == (200, ZIP)
    assert field(response, "content-disposition") == f'attachment; filename="{study}.zip"'
    assert contents(found) == sorted(one.data for one in images)
    assert {entry.compress_type for entry in found.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.spec("ZIP-1")
async def test_a_series_and_an_instance_are_archives_too(service):
    study = new_uid()
    one, other = image(study), image(study)
    await stored(service, one, other)

    assert contents(await archive_of(service, one.path.rpartition("/instances")[0])) == [one.data]
    assert contents(await archive_of(service, one.path)) == [one.data]
    for path in (one.path, one.path.rpartition("/instances")[0]):
        head = await service.get(path, ZIP, method="HEAD")
        assert field(head, "content-disposition") == f'attachment; filename="{path.rpartition("/")[2]}.zip"'


@pytest.mark.spec("ZIP-1", "WADO-3")
@pytest.mark.parametrize(
    ("accept", "archive"),
    [
        (f"{ZIP}, */*", True),
        (f"multipart/related; type=application/dicom;q=0.5, {ZIP}", True),
        (f"{ZIP};q=0.5, multipart/related; type=application/dicom; transfer-syntax=*", False),
        (f"{ZIP};q=0, */*", False),
        (f"{ZIP}; transfer-syntax=*;q=0.9, application/dicom;q=0.8", True),
        (f'{ZIP}; transfer-syntax="{ELE}"; q=0.2, application/dicom; transfer-syntax=*; q=0.3', False),
        (f"{ZIP}; transfer-syntax={J2K_LOSSLESS};q=0.1, application/dicom+json", True),
        (f"{ZIP};q=0.1, multipart/related; type=application/octet-stream, text/html", True),
        ("*/*", False),
        ("application/*, */*", False),
    ],
)
async def test_an_archive_is_sent_to_who_accepts_nothing_better(service, accept, archive):
    one = image()
    await stored(service, one)
    response = await service.get(one.path, accept)
    await content(response)
    assert response.status == 200
    assert (field(response, "content-type") == ZIP) is archive


@pytest.mark.spec("ZIP-3", "WADO-34")
async def test_a_named_syntax_is_made_of_every_file_or_the_archive_refused(service):
    study = new_uid()
    implicit, video = image(study, syntax=ILE), image(study, syntax=MPEG2)
    path = await stored(service, implicit)
    [entry] = contents(await archive_of(service, path, f"{ZIP}; transfer-syntax={ELE}"))
    assert ELE.encode() in entry[:400]
    assert entry != implicit.data
    await stored(service, video)
    assert await service.status(path, f"{ZIP}; transfer-syntax={ELE}") == 406


@pytest.mark.spec("ZIP-3", "WADO-34")
async def test_with_several_syntaxes_accepted_what_has_no_other_is_sent_as_stored_with_a_warning(service):
    study = new_uid()
    implicit, video = image(study, syntax=ILE), image(study, syntax=MPEG2)
    path = await stored(service, implicit, video)

    response = await service.get(path, f"{ZIP}; transfer-syntax={ELE}, {ZIP}; transfer-syntax=*; q=0.5")
    found = zipfile.ZipFile(io.BytesIO(await content(response)))

    files = contents(found)
    assert video.data in files
    assert implicit.data not in files
    assert sorted(dcmread(io.BytesIO(each)).file_meta.TransferSyntaxUID for each in files) == [ELE, MPEG2]
    assert field(response, "warning").startswith("299 ")
    assert field(await service.get(path, ZIP), "warning") is None


@pytest.mark.spec("ZIP-5")
async def test_what_is_not_there_is_404_and_what_cannot_be_is_406(service):
    assert await service.status("studies/1.2.3", ZIP) == 404
    assert await service.status("studies/1.2.3/series/1/instances/1", ZIP) == 404
    one = image()
    await stored(service, one)
    assert await service.status(f"{one.path}/metadata", ZIP) == 406
    for path, status in (("studies/1.2.3", 404), (f"{one.path}/metadata", 406)):
        assert (await service.get(path, ZIP, method="HEAD")).status == status


@pytest.mark.spec("ZIP-1", "ZIP-3")
async def test_objects_without_pixels_and_images_of_none_are_files_as_any_other(service):
    study = new_uid()
    images = [
        image(study, frames=0),
        image(study, frames=0, Rows=0, Columns=0, BitsAllocated=8, NumberOfFrames=0),
        image(study, frames=0, PixelData=b""),
    ]
    path = await stored(service, *images)
    assert contents(await archive_of(service, path, query="dicomdir=true"))[1:] != []
    assert contents(await archive_of(service, path)) == sorted(one.data for one in images)


@pytest.mark.spec("ZIP-4")
async def test_a_dicomdir_is_a_part_of_archives_alone(service):
    path = await stored(service, image())
    assert await service.status(path, ZIP, "dicomdir=TRUE") == 200
    for accept in ("multipart/related; type=application/dicom", "*/*"):
        assert await service.status(path, accept, "dicomdir=true") == 400
    assert await service.status(path, ZIP, "dicomdir=perhaps") == 400
    assert await service.status(path, ZIP, "dicomdir=false") == 200


@pytest.mark.spec("ZIP-6")
async def test_what_is_deleted_while_the_archive_is_sent_is_named_in_it(service):
    study = new_uid()
    images = [image(study, size=(1200, 1200)) for _ in range(3)]
    path = await stored(service, *images)

    response = await service.get(path, ZIP)
    begun = await anext(response.body)
    last = next(
        one for one in reversed(images) if one.identifier.sop_instance_uid.replace(".", "-").encode() not in begun
    )
    blob = await service.archive.blob_of(last)
    await service.archive.index.delete(PARTITION, scope(last, "instance"))
    await service.archive.blobs.delete(blob)
    body = begun + b"".join([piece async for piece in response.body])
    found = zipfile.ZipFile(io.BytesIO(body))

    assert found.read("MISSING.txt").decode().splitlines()[1:] == [
        f"{study} {last.identifier.series_instance_uid} {last.identifier.sop_instance_uid}"
    ]
    assert len(found.namelist()) == 3


@pytest.mark.spec("ZIP-7")
async def test_head_tells_the_exact_length_where_nothing_is_converted(service):
    study = new_uid()
    path = await stored(service, *(image(study, size=(40 * n, 40)) for n in range(1, 5)))

    head = await service.get(path, ZIP, method="HEAD")
    length = len(await service.body(path, ZIP))
    converted = await service.get(path, f"{ZIP}; transfer-syntax=1.2.840.10008.1.2.4.90", method="HEAD")

    assert int(field(head, "content-length")) == length
    assert field(converted, "content-length") is None


# ------------------------------------------------------------------------------------------------------------- names


@pytest.mark.spec("ZIP-2")
async def test_names_are_safe_and_unique_whatever_the_attributes_say(service):
    study, series = new_uid(), new_uid()
    same = {"InstanceNumber": "1", "SeriesNumber": "1", "Modality": "CT", "PatientID": "../../etc/p sswd  x" + "y" * 44}
    images = [image(study, series, **same), image(study, series, **same), image(study, new_uid(), **same)]
    path = await stored(service, *images)

    names = (await archive_of(service, path)).namelist()

    assert len({name.casefold() for name in names}) == 3
    for name in names:
        folders, file = name.split("/")[:-1], name.split("/")[-1]
        assert len(folders) == 2
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", part) for part in folders)
        assert re.fullmatch(r"1_[0-9-]{1,58}\.dcm|[A-Za-z0-9_-]{1,60}\.dcm", file), file
    assert {name.split("/")[1] for name in names} == {"1_CT", "1_CT_2"}


@pytest.mark.spec("ZIP-2")
@pytest.mark.parametrize(
    ("patient", "folder"), [("CON", "_CON"), ("nul", "_nul"), ("Com1", "_Com1"), ("CONSUL", "CONSUL")]
)
async def test_no_folder_has_the_name_of_a_device(service, patient, folder):
    one = image(PatientID=patient, Modality="AUX", SeriesNumber=None)
    await stored(service, one)
    [name] = (await archive_of(service, one.path)).namelist()
    assert name.split("/")[:2] == [folder, "_AUX"]


@pytest.mark.spec("ZIP-2")
async def test_names_of_uids_hold_no_value_of_an_attribute():
    service = RetrieveService(zip_names="uid")
    one = image(PatientID="SECRET-7", Modality="CT", SeriesNumber="5", InstanceNumber="9")
    await stored(service, one)
    [name] = (await archive_of(service, one.path)).namelist()
    uids = [
        part.replace(".", "-")
        for part in (
            one.identifier.study_instance_uid,
            one.identifier.series_instance_uid,
            one.identifier.sop_instance_uid,
        )
    ]
    assert name == f"{uids[0]}/{uids[1]}/{uids[2][-60:]}.dcm"


# ------------------------------------------------------------------------------------------------------- the archive


async def pieces_of(*entries):
    async def given():
        for entry in entries:
            yield entry

    return [piece async for piece in zipped(given(), NOW)]


async def in_pieces(data, size):
    for at in range(0, len(data), size):
        yield data[at : at + size]


@pytest.mark.spec("ZIP-1")
async def test_a_large_entry_passes_in_pieces_and_small_ones_together():
    data = bytes(range(256)) * 16 * 1024
    pieces = await pieces_of(
        Entry("a", 3, b"abc"),
        Entry("b", len(data), in_pieces(data, 1 << 20)),
        *(Entry(f"s{n}", 1, b"x") for n in range(99)),
    )
    assert max(map(len, pieces)) <= (1 << 20) + 200
    assert len(pieces) < 20
    assert zipfile.ZipFile(io.BytesIO(b"".join(pieces))).read("b") == data


@pytest.mark.spec("ZIP-7", "ZIP-1")
@pytest.mark.parametrize("limit", [None, 3000, 700])
async def test_the_length_is_that_of_the_archive_in_zip64_too(monkeypatch, limit):
    if limit:
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
    for sizes in ([], [0], [5, 670, 690], [2000, 1], [2850, 2860, 2900, 3001], [1] * 50):
        entries = [Entry(f"folder/{n:03}.dcm", size, bytes(size)) for n, size in enumerate(sizes)]
        body = b"".join(await pieces_of(*entries))
        assert zipped_length((entry.name, entry.length) for entry in entries) == len(body)


@pytest.mark.spec("ZIP-5")
async def test_an_entry_of_another_length_than_it_says_is_no_archive(monkeypatch):
    async def fails():
        yield b"half"
        raise OSError("the download was cut")

    with pytest.raises(OSError, match="cut"):
        await pieces_of(Entry("a", 8, fails()))


async def test_the_directory_of_very_many_entries_is_written_off_the_loop(monkeypatch):
    monkeypatch.setattr(zip_stream, "_MANY", 3)
    body = b"".join(await pieces_of(*(Entry(f"{n}", 1, b"x") for n in range(9))))
    assert len(zipfile.ZipFile(io.BytesIO(body)).namelist()) == 9


@pytest.mark.parametrize("query", ["", "dicomdir=true"])
async def test_the_names_of_very_many_files_are_made_off_the_loop(service, monkeypatch, query):
    study = new_uid()
    images = [image(study, InstanceNumber=number) for number in range(4)]
    path = await stored(service, *images)
    few = sorted((await archive_of(service, path, query=query)).namelist())
    monkeypatch.setattr(zip_answer, "_MANY", 3)
    found = await archive_of(service, path, query=query)
    assert sorted(found.namelist()) == few
    assert len(few) == 4 + bool(query)


@pytest.mark.spec("ZIP-2")
def test_thousands_of_series_of_one_name_have_names_of_their_own_and_cost_no_search_each(monkeypatch):
    count = 2000
    attributes = {"00080060": "MR", "00200011": "1"}
    of_all = [InstanceIdentifier("1.2", f"1.2.{number}", f"1.2.{number}.1") for number in range(count)]
    study = SimpleNamespace(
        attributes={"00100020": "x" * 70},
        series={each.series_instance_uid: SimpleNamespace(attributes=attributes) for each in of_all},
    )
    looked_at = Counter()

    class Counted(set):
        def __contains__(self, name):
            looked_at["names"] += 1
            return super().__contains__(name)

    monkeypatch.setattr(zip_names, "set", Counted, raising=False)

    names = entry_names(study, [SimpleNamespace(identifier=each, attributes={}) for each in of_all], uids_only=False)

    assert looked_at["names"] < 4 * count
    assert len({name.casefold() for name in names.values()}) == count
    assert names[of_all[1]] == f"{'x' * 64}/1_MR_2/1-2-1-1.dcm"
    assert names[of_all[-1]].split("/")[1] == f"1_MR_{count}"


def test_without_the_study_its_uid_is_the_name_of_the_folder():
    assert entry_names(None, [], uids_only=False) == {}
