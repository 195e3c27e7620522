"""De-identified exports: no file, log or report names anybody, whatever way a file takes through the process."""

import copy
import json
import struct
from dataclasses import replace

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from shared.deidentification.key import Key
from shared.deidentification.report import Deed
from shared.dicom.part10.byte_order import swapped
from shared.dicom.transfer_syntaxes import JPEG_XL_LOSSLESS, MPEG2_MAIN, RLE_LOSSLESS
from shared.errors import InvalidRequest
from shared.export import deidentified as module
from shared.export.deidentified import UNREADABLE
from shared.export.request import new_export
from shared.export.work import NO_MATCH
from tests.builders import datasets
from tests.builders.codestream_headers import segment
from tests.builders.codestreams import NOISE, STREAMS, run_length
from tests.builders.deidentifying import deidentified as expected_file
from tests.builders.deidentifying import leaked
from tests.builders.pictures import JPEG
from tests.unit.export.service import ExportService, destination, rules, source

ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BASIC = {"profile": "basic"}
NAMES = ("Zquxmorf", "Wendelgard", "83719264", "19630817")
IDENTITY = {"PatientName": "Zquxmorf^Wendelgard", "PatientID": "83719264", "PatientBirthDate": "19630817"}


async def stored(service, data, uids=("1.2.19630817.1", "1.2.19630817.2", "1.2.19630817.3")):
    """Store these bytes as the file of an instance."""
    new = replace(service.new(*uids), length=len(data))
    service.blobs.drop(new.blob, data)
    await service.store_all([new])
    return "/".join(uids)


async def exported(service, *values, profile=BASIC):
    """The id, the files, the report and the results of a de-identified export."""
    body = {"source": source(*values), "destination": destination(), "deidentify": profile}
    response = await service.ask(body if values else {**body, "source": None})
    assert response.status == 202, response.body
    operation_id = json.loads(response.body)["id"]
    await service.runner.run()
    state = await service.state(operation_id)
    assert state["status"] == "succeeded", state
    files = service.container.files()
    report = json.loads(files.pop(f"{operation_id}/report.json"))
    assert (
        leaked(b"".join(service.container.blobs.values()) + repr(sorted(service.container.blobs)).encode(), NAMES) == []
    )
    return operation_id, files, report, state["results"]


def key_of(service, operation_id):
    return Key(bytes.fromhex(service.secrets.kept[f"deidentification-{operation_id}"]))


FILES = {
    "native": datasets.part10(datasets.ct(**IDENTITY)),
    "implicit": datasets.part10(datasets.ct(**IDENTITY), datasets.ILE),
    "encapsulated": datasets.f2(**IDENTITY),
    "no offset table": datasets.part10(
        datasets.set_frames(datasets.ct(**IDENTITY), [STREAMS[JPEG]] * 2, fragments=2, basic_offsets=False), JPEG
    ),
    "run lengths": datasets.part10(
        datasets.set_frames(
            datasets.ct(Rows=40, Columns=56, BitsAllocated=8, BitsStored=8, HighBit=7, **IDENTITY),
            [run_length(NOISE) + b"Zquxmorf", run_length(NOISE)],
        ),
        RLE_LOSSLESS,
    ),
    "no pixels": datasets.f4(**IDENTITY),
}


@pytest.mark.spec("DEID-1", "DEID-3", "XPT-20", "XPT-21")
@pytest.mark.parametrize("small", [1, 2**20], ids=["streamed", "whole"])
@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
async def test_a_file_is_the_same_however_it_passes_through(monkeypatch, data, small):
    monkeypatch.setattr(module, "_SMALL", small)
    monkeypatch.setattr(module, "_HEAD", 2000)
    service = ExportService()
    await stored(service, data)

    operation_id, files, report, results = await exported(service)

    key = key_of(service, operation_id)
    [(name, content)] = files.items()
    made = dcmread(DicomBytesIO(content))
    assert name == f"{operation_id}/results/{made.StudyInstanceUID}/{made.SeriesInstanceUID}/{made.SOPInstanceUID}.dcm"
    assert content == expected_file(data, key=key)
    assert (report["files"], report["refused"], results["exported"]) == (1, {}, 1)
    assert report["elements"]["00100020"] == {"replaced": 2} or report["elements"]["00100020"]["replaced"] >= 1


@pytest.mark.spec("DEID-2")
@pytest.mark.parametrize("small", [1, 2**20], ids=["streamed", "whole"])
async def test_big_endian_pixels_and_deflated_files_arrive_in_little_endian(monkeypatch, small):
    monkeypatch.setattr(module, "_SMALL", small)
    dataset = datasets.ct(**IDENTITY)
    little = datasets.part10(dataset)
    for syntax in (datasets.EBE, DEFLATED):
        service = ExportService()
        await stored(service, datasets.part10(dataset, syntax))
        operation_id, files, _, _ = await exported(service)

        [content] = files.values()
        made, expected = (
            dcmread(DicomBytesIO(content)),
            dcmread(DicomBytesIO(expected_file(little, key=key_of(service, operation_id)))),
        )
        assert made.PixelData == expected.PixelData == dataset.PixelData
        assert made.file_meta.TransferSyntaxUID == datasets.ELE


@pytest.mark.spec("DEID-2", "DEID-9")
@pytest.mark.parametrize("small", [1, 2**20], ids=["streamed", "whole"])
async def test_comments_in_frames_are_blanked_and_reported(monkeypatch, small):
    monkeypatch.setattr(module, "_SMALL", small)
    service = ExportService()
    comment = segment(0xFFFE, NAMES[0].encode()) + segment(0xFFE1, b"Exif\0\0" + NAMES[1].encode())
    frame = STREAMS[JPEG][:2] + comment + STREAMS[JPEG][2:]
    source = datasets.set_frames(datasets.ct(Rows=40, Columns=56, **IDENTITY), [frame, STREAMS[JPEG]])
    await stored(service, datasets.part10(source, JPEG))
    await stored(service, FILES["native"], ("1.4.19630817", "1.5", "1.6"))

    _, _, report, _ = await exported(service)

    assert (report["files"], report["findings"]) == (2, {"commentsInFrames": 1})


@pytest.mark.spec("DEID-2", "DEID-6", "DEID-9")
@pytest.mark.parametrize("small", [1, 2**20], ids=["streamed", "whole"])
async def test_what_cannot_be_looked_through_is_refused_or_reported(monkeypatch, small):
    monkeypatch.setattr(module, "_SMALL", small)
    damaged = datasets.set_frames(datasets.ct(**IDENTITY), [STREAMS[JPEG], b"no frame"])
    video = datasets.set_frames(datasets.ct(BurnedInAnnotation="NO", **IDENTITY), [b"\0\0\1\xb3" + bytes(60)])
    size_unknown = datasets.ct(**IDENTITY)
    del size_unknown.Rows
    service = ExportService()
    await stored(service, FILES["native"])
    for number, data in enumerate(
        (
            datasets.part10(damaged, JPEG),
            datasets.part10(video, MPEG2_MAIN),
            datasets.part10(video, MPEG2_MAIN).replace(MPEG2_MAIN.encode(), JPEG_XL_LOSSLESS.encode()),
            datasets.part10(size_unknown),
        )
    ):
        await stored(service, data, (f"1.4.19630817.{number}", "1.5", "1.6"))

    operation_id, files, report, results = await exported(service)

    log = [json.loads(line)["error"] for line in service.container.log(operation_id)]
    assert log == ["Refused: unexaminedPixelData."] * 4
    assert (len(files), report["files"], results["skipped"]) == (1, 1, 4)
    assert (report["refused"], report["findings"]) == ({"unexaminedPixelData": 4}, {})

    service.container.blobs.clear()
    _, files, report, _ = await exported(service, profile={**BASIC, "burnedIn": "report"})
    assert (report["files"], report["refused"], report["findings"]["unexaminedPixelData"]) == (5, {}, 4)


@pytest.mark.spec("DEID-2")
async def test_palettes_of_a_file_in_any_byte_order_are_looked_at_where_they_are(monkeypatch):
    source = datasets.ct(SOPClassUID=ULTRASOUND, BurnedInAnnotation="NO", **IDENTITY)
    for channel, table in (("Red", (0, 8, *range(8))), ("Green", (0, 8, *range(8), 90))):
        setattr(source, f"{channel}PaletteColorLookupTableDescriptor", [8, 0, 16])
        setattr(source, f"Segmented{channel}PaletteColorLookupTableData", struct.pack(f"<{len(table)}H", *table))
    big = copy.deepcopy(source)
    big.SOPInstanceUID = "1.2.3.4.5.6"
    for channel in ("Red", "Green"):
        name = f"Segmented{channel}PaletteColorLookupTableData"
        setattr(big, name, swapped(getattr(source, name), 2))
    for small in (1, 2**20):
        monkeypatch.setattr(module, "_SMALL", small)
        service = ExportService()
        await stored(service, datasets.part10(source))
        await stored(service, datasets.part10(big, datasets.EBE), ("1.4.19630817", "1.5", "1.6"))

        _, files, report, _ = await exported(service)

        made = [dcmread(DicomBytesIO(content)) for content in files.values()]
        red = [one.SegmentedRedPaletteColorLookupTableData for one in made]
        assert red == [source.SegmentedRedPaletteColorLookupTableData] * 2
        assert not any("SegmentedGreenPaletteColorLookupTableData" in one for one in made)
        assert report["elements"]["00281222"] == {"removed": 2}


@pytest.mark.spec("DEID-6", "DEID-9", "XPT-22", "XPT-23")
async def test_log_and_report_name_new_uids_and_count_what_was_refused():
    service = ExportService()
    good = await stored(service, FILES["native"])
    burned = await stored(service, datasets.f1(BurnedInAnnotation="YES", **IDENTITY), ("1.4.19630817", "1.5", "1.6"))
    broken = await stored(service, FILES["native"][:400], ("1.7.19630817", "1.8", "1.9"))
    unknown = "1.9.19630817/83719264"

    operation_id, files, report, results = await exported(service, good, burned, broken, unknown)

    key = key_of(service, operation_id)
    renamed = {
        "/".join(map(key.uid, each.split("/"))): fault
        for each, fault in (
            (burned, "Refused: burnedInAnnotation."),
            (broken, UNREADABLE),
            (unknown, NO_MATCH),
        )
    }
    log = [json.loads(line) for line in service.container.log(operation_id)]
    assert {line["identifier"]: line["error"] for line in log} == renamed
    assert len(files) == report["files"] == results["exported"] == 1
    assert results["skipped"] == 3
    assert report["refused"] == {"burnedInAnnotation": 1, "unreadable": 1}
    assert report["deidentify"] == {"profile": "basic", "options": [], "subjects": "map", "burnedIn": "refuse"}


@pytest.mark.spec("DEID-2")
async def test_an_odd_file_arrives_as_what_it_is_and_one_of_a_syntax_of_its_own_is_refused():
    service = ExportService()
    await stored(service, FILES["no pixels"] + bytes(64))
    own = FILES["no pixels"].replace(b"1.2.840.10008.1.2.1\0", b"1.2.3.4.19630817.01\0")
    await stored(service, own, ("1.4.19630817", "1.5", "1.6"))

    _, files, report, _ = await exported(service)

    assert (len(files), report["refused"]) == (1, {"unreadable": 1})


@pytest.mark.spec("DEID-8", "XPT-28")
async def test_the_key_is_in_the_secret_store_alone_and_stays_there_when_the_export_has_ended():
    service = ExportService()
    await stored(service, FILES["no pixels"])
    operation_id, files, _, _ = await exported(service)
    other_id, others, _, _ = await exported(service)

    assert list(service.secrets.kept) == [f"deidentification-{operation_id}", f"deidentification-{other_id}"]
    secrets = set(service.secrets.kept.values())
    assert len(secrets) == 2
    told = repr([row.properties for row in service.tables.rows("ops")]) + json.dumps(await service.state(operation_id))
    assert not any(secret in told for secret in secrets)
    assert {name.partition("/results/")[2] for name in files}.isdisjoint(
        name.partition("/results/")[2] for name in others if other_id in name
    ), "another key, unlinkable"


@pytest.mark.spec("DEID-8")
async def test_an_export_whose_key_is_gone_fails_and_one_that_never_began_leaves_no_key():
    service = ExportService()
    await stored(service, FILES["no pixels"])
    response = await service.ask({"destination": destination(), "deidentify": BASIC})
    operation_id = json.loads(response.body)["id"]
    service.secrets.kept.clear()
    await service.runner.run()
    assert (await service.state(operation_id))["status"] == "failed"
    assert service.container.files() == {}

    await service.records.keep("0" * 32, [], "", Key.new())
    service.time.seconds += 3601
    await service.records.sweep()
    assert service.secrets.kept == {}


@pytest.mark.spec("DEID-1", "DEID-8")
@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({}, "deidentify.profile"),
        ({"profile": "full"}, "deidentify.profile"),
        ({"profile": "basic", "options": "retainDevice"}, "deidentify.options"),
        ({"profile": "basic", "options": ["retainEverything"]}, "deidentify.options"),
        ({"profile": "basic", "subjects": "keep"}, "deidentify.subjects"),
        ({"profile": "basic", "burnedIn": True}, "deidentify.burnedIn"),
        ({"profile": "basic", "key": "0"}, "not known"),
        ("basic", "deidentify"),
    ],
)
def test_a_profile_that_is_not_known_is_refused(asked, text):
    with pytest.raises(InvalidRequest, match=text):
        new_export({"destination": destination(), "deidentify": asked}, rules())


@pytest.mark.spec("DEID-1", "DEID-8")
def test_a_profile_as_it_is_asked_for():
    asked = {"profile": "basic", "options": ["RetainDevice", "cleanGraphics"], "subjects": "DROP", "burnedIn": "report"}
    found = new_export({"destination": destination(), "deidentify": asked}, rules()).profile

    assert module.profile_in(module.profile_document(found)) == found
    assert module.profile_document(found) == {**asked, "options": ["cleanGraphics", "retainDevice"], "subjects": "drop"}
    with pytest.raises(InvalidRequest, match="secret store"):
        new_export({"destination": destination(), "deidentify": asked}, rules(secrets=False))


async def test_a_report_stays_small_whatever_the_tags_of_the_files():
    service = ExportService()
    copies = module.DeidentifiedCopies("0", "0", service.files, service.container, None, Key.new())
    tally = {"elements": {f"{number:08X}": {"removed": 1} for number in range(module._MOST_TAGS)}}
    report = module.Report()
    for tag in ("00000001", "FFFFFFF0", "FFFFFFF1"):
        report.deeds[tag, Deed.REMOVED] = 2

    told = copies.tally(tally, [module.Copied("x", "", report)])["elements"]

    assert told["00000001"] == {"removed": 3}
    assert told["others"] == {"removed": 4}
    assert len(told) == module._MOST_TAGS + 1
