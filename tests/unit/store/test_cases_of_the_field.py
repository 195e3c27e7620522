"""What public reports tell of files and clients that other servers met, asked of the whole service in memory, each with
the right answer. The kinds have tests of their own where they are mended; here are the cases as they were reported.
"""

import gzip
import io
import json
import struct

import pytest
from PIL import Image as Picture

from tests.builders.images import new_uid
from tests.builders.odd_files import odd_image
from tests.builders.part10_bytes import ILE, encapsulated, explicit, implicit, item, part10, unknown_vr
from tests.builders.whole_service import whole_service

DICOM, JSON = "application/dicom", "application/dicom+json"
OCTETS = 'multipart/related; type="application/octet-stream"'
JPEG, RLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
PIXEL_ELEMENTS = (0x00280002, 0x00280004, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102)
RUNS = struct.pack("<16L", 1, 64, *[0] * 14) + b"\3\1\2\3\4\0"


@pytest.fixture(scope="module")
async def service():
    return await whole_service()


@pytest.fixture
def ask(service):
    async def asked(method, target, body=b"", **fields):
        headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
        answer, content = await service.ask(method, target, headers, body)
        return answer.status, content

    return asked


@pytest.fixture
def store(ask):
    async def stored(data, **fields):
        status, body = await ask("POST", "/v2/studies", data, **{"Content_Type": DICOM, "Accept": JSON, **fields})
        return status, json.loads(body)

    return stored


def at(one, below=""):
    uid = one.identifier
    study = f"/v2/studies/{uid.study_instance_uid}"
    return f"{study}/series/{uid.series_instance_uid}/instances/{uid.sop_instance_uid}{below}"


@pytest.fixture
def metadata(ask):
    async def read(one):
        status, body = await ask("GET", at(one, "/metadata"), Accept=JSON)
        assert status == 200
        return json.loads(body)[0]

    return read


def grey(codestream_of):
    stream = io.BytesIO()
    Picture.frombytes("L", (16, 16), bytes(range(256))).save(stream, codestream_of)
    return stream.getvalue()


async def test_nothing_behind_an_element_of_an_unknown_vr_is_lost(ask, store, metadata):
    elements = {
        0x00290010: explicit(0x00290010, "LO", "ACME"),
        0x00291010: unknown_vr(b"ZZ", b"abcdefgh", long=True),
        0x00321060: explicit(0x00321060, "LO", "Requested"),
    }
    one = odd_image(elements)
    assert (await store(one.data))[0] in {200, 202}
    assert [key for key in await metadata(one) if key > "0029"] == ["00290010", "00291010", "00321060", "7FE00010"]
    assert (await ask("GET", at(one, "/frames/1"), Accept="*/*"))[0] == 200
    cut = odd_image(behind=explicit(0x7FE00000, "UL", bytes(4))[:-2])
    assert (await store(cut.data))[0] == 409


async def test_numbers_that_nul_pads_are_numbers(ask, store, metadata):
    pictures = []
    for pad in (b" ", b"\0"):
        texts = {0x00281050: b"4", 0x00281051: b"8", 0x00281052: b"-2", 0x00281053: b"2"}
        elements = {tag: explicit(tag, "DS", text + pad * (len(text) % 2)) for tag, text in texts.items()}
        one = odd_image(elements | {0x00280008: explicit(0x00280008, "IS", b"1" + pad)})
        assert (await store(one.data))[0] == 200
        found = await metadata(one)
        assert (found["00281053"]["Value"], found["00280008"]["Value"]) == ([2], [1])
        pictures.append(await ask("GET", at(one, "/rendered"), Accept="image/png"))
        assert (await ask("GET", at(one, "/frames/1"), Accept=OCTETS))[0] == 200
    assert pictures[0] == pictures[1]
    assert pictures[0][0] == 200


async def test_fragments_under_a_native_syntax_are_no_pixels(ask, store):
    one = odd_image({0x7FE00010: encapsulated(grey("JPEG"))}, rows=16, columns=16)
    assert (await store(one.data))[0] in {200, 202}
    statuses = [
        (await ask("GET", at(one, below), Accept=accept))[0]
        for below, accept in (
            ("/rendered", "image/png"),
            ("/frames/1", "application/octet-stream"),
            ("", f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.4.90"),
            ("", f"{DICOM}; transfer-syntax=*"),
        )
    ]
    assert statuses == [406, 406, 406, 200]


async def test_one_odd_object_makes_no_study_unreadable(ask, store):
    good = odd_image({0x7FE00010: encapsulated(RUNS)}, syntax=RLE)
    study = good.identifier.study_instance_uid
    odd = odd_image({0x7FE00010: encapsulated(RUNS)}, syntax=RLE, behind=bytes(64), study=study)
    assert {(await store(one.data))[0] for one in (good, odd)} <= {200, 202}
    for accept in (f'multipart/related; type="{DICOM}"', f'multipart/related; type="{DICOM}"; transfer-syntax=*'):
        assert (await ask("GET", f"/v2/studies/{study}", Accept=accept))[0] == 200
    assert (await ask("GET", at(odd), Accept=DICOM))[0] == 200


@pytest.mark.parametrize("frames", ["3", "3.0", "1A", "2\\3", ""])
async def test_a_number_of_frames_that_is_none_hides_no_frame(ask, store, frames):
    one = odd_image({0x00280008: explicit(0x00280008, "IS", frames), 0x7FE00010: explicit(0x7FE00010, "OB", bytes(12))})
    assert (await store(one.data))[0] in {200, 202}
    assert (await ask("GET", at(one, "/frames/1"), Accept=OCTETS))[0] == 200
    assert (await ask("GET", at(one, "/rendered"), Accept="image/png"))[0] == 200


@pytest.mark.parametrize(
    "element",
    [
        explicit(0x00102202, "UN", item(explicit(0x00080100, "SH", "CODE"))),
        explicit(0x00102202, "UN", item(explicit(0x00080000, "UL", bytes(4)) + explicit(0x00080100, "SH", "CODE"))),
        *(unknown_vr(code, b"G000", 0x001021B0) for code in (b"--", b"  ", b"??")),
        explicit(0x00103000, "LO", "same") * 2,
    ],
)
async def test_a_file_that_other_readers_read_is_stored(ask, store, element):
    one = odd_image({0x00102202: element})
    status, body = await store(one.data)
    assert status in {200, 202}, body
    assert (await ask("GET", at(one, "/frames/1"), Accept=OCTETS))[0] == 200
    assert (await ask("GET", at(one), Accept=DICOM))[0] == 200


async def test_a_private_sequence_that_claims_too_much_is_unknown(store, metadata):
    content = struct.pack("<HHI", 0xFFFE, 0xE000, 24) + b"12345678"
    creator = explicit(0x00230010, "LO", "ACME")
    one = odd_image({0x00230010: creator, 0x00231080: explicit(0x00231080, "SQ", content)})
    assert (await store(one.data))[0] in {200, 202}
    assert (await metadata(one))["00231080"]["vr"] == "UN"


async def test_groups_of_commands_and_of_files_are_no_metadata(store, metadata):
    for one in (
        odd_image(behind=explicit(0x00020010, "UI", ILE)),
        odd_image({0x00000002: explicit(0x00000002, "UI", "1.2.3")}),
    ):
        assert (await store(one.data))[0] in {200, 202}
        assert [key for key in await metadata(one) if key < "0003"] == []


async def test_a_refusal_names_the_instance_and_the_reason(store):
    one = odd_image({0x00081030: explicit(0x00081030, "LO", "one") + explicit(0x00081030, "LO", "two")})
    status, body = await store(one.data)
    [failed] = body["00081198"]["Value"]
    assert status == 409
    assert failed["00081155"]["Value"] == [one.identifier.sop_instance_uid]
    assert "(0008,1030)" in failed["00000902"]["Value"][0]
    status, body = await store(b"hello")
    assert status == 409
    assert len(body["00081198"]["Value"][0]["00000902"]["Value"][0]) > 20


async def test_codings_of_bodies_are_decoded_or_named(ask, store):
    assert (await store(gzip.compress(odd_image().data), Content_Encoding="gzip"))[0] == 200
    status, body = await ask("POST", "/v2/studies", b"x", Content_Type=DICOM, Content_Encoding="br")
    assert status == 415
    assert body


async def test_a_study_without_modality_says_nothing_of_modalities(ask, store):
    one = odd_image({0x00080060: b""})
    assert (await store(one.data))[0] in {200, 202}
    query = f"StudyInstanceUID={one.identifier.study_instance_uid}&includefield=00080061"
    status, body = await ask("GET", f"/v2/studies?{query}", Accept=JSON)
    assert status == 200
    assert "00080061" not in json.loads(body)[0]


async def test_fewer_frames_than_were_said_are_served(ask, store):
    elements = {0x00280008: explicit(0x00280008, "IS", "3"), 0x7FE00010: explicit(0x7FE00010, "OB", bytes(10))}
    one = odd_image(elements)
    assert (await store(one.data))[0] in {200, 202}
    assert [(await ask("GET", at(one, f"/frames/{n}"), Accept=OCTETS))[0] for n in (1, 2, 3)] == [200, 200, 404]


async def test_private_creators_are_texts_in_implicit_vr_too(store, metadata):
    uids = [new_uid() for _ in range(3)]
    elements = [
        implicit(0x00080016, "1.2.840.10008.5.1.4.1.1.128", vr="UI"),
        implicit(0x00080018, uids[2], vr="UI"),
        implicit(0x00100020, "P"),
        implicit(0x0020000D, uids[0], vr="UI"),
        implicit(0x0020000E, uids[1], vr="UI"),
        implicit(0x70530010, "Philips PET Private Group"),
        implicit(0x70531000, "0.000123"),
    ]
    one = odd_image()
    object.__setattr__(one, "identifier", type(one.identifier)(*uids))
    assert (await store(part10(b"".join(elements), ILE)))[0] in {200, 202}
    found = await metadata(one)
    assert found["70530010"] == {"vr": "LO", "Value": ["Philips PET Private Group"]}
    assert found["70531000"] == {"vr": "DS", "Value": [0.000123]}


async def test_clients_ask_as_they_do(ask, store):
    one = odd_image({0x7FE00010: encapsulated(grey("JPEG"))}, syntax=JPEG, rows=16, columns=16)
    assert (await store(one.data))[0] == 200
    study = one.identifier.study_instance_uid
    assert (await ask("GET", "/v2//studies?limit=1", Accept=JSON))[0] == 200
    assert (await ask("GET", "/v2/studies?includedefaults=false&limit=1", Accept=JSON))[0] == 200
    assert (await ask("GET", f"/v2/studies/{study}", Accept="multipart/*"))[0] == 200
    for accept in ('multipart/related; type="image/*"', "image/*", 'multipart/related; type="image/jpeg"'):
        assert (await ask("GET", at(one, "/frames/1"), Accept=accept))[0] == 200
    stored = "application/octet-stream; transfer-syntax=*"
    assert (await ask("GET", at(one, "/frames/1"), Accept=stored, Range="bytes=0-9"))[0] == 206
    assert (await ask("GET", at(one), Accept=f"{DICOM}; transfer-syntax=*", Range="bytes=0-9"))[0] == 206
    assert (await ask("GET", "/v2/studies?StudyInstanceUID=1.2.x", Accept=JSON))[0] == 400


async def test_pixels_that_are_no_squares_are_shown_as_they_are(ask, store):
    one = odd_image({0x00280034: explicit(0x00280034, "IS", "1\\2")})
    assert (await store(one.data))[0] == 200
    status, body = await ask("GET", at(one, "/rendered"), Accept="image/png")
    assert (status, Picture.open(io.BytesIO(body)).size) == (200, (4, 2))


async def test_a_document_is_shown_as_what_it_is(ask, store):
    elements = dict.fromkeys(PIXEL_ELEMENTS, b"")
    document = {
        0x00420011: explicit(0x00420011, "OB", b"%PDF-1.7\n\n"),
        0x00420012: explicit(0x00420012, "LO", "application/pdf"),
    }
    one = odd_image(
        {
            **elements,
            0x7FE00010: b"",
            0x00080016: explicit(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.104.1"),
            **document,
        }
    )
    assert (await store(one.data))[0] in {200, 202}
    for below, accept in (
        ("/rendered", "application/pdf"),
        ("/rendered", "*/*"),
        ("/bulkdata/00420011", "application/pdf"),
    ):
        assert await ask("GET", at(one, below), Accept=accept) == (200, b"%PDF-1.7\n\n")


async def test_a_video_plays_and_its_study_is_retrieved(ask, store):
    video = b"\0\0\0\x18ftypisom\0\0\0\1isomavc1" + bytes(40)
    elements = {
        0x00280002: explicit(0x00280002, "US", struct.pack("<H", 3)),
        0x00280004: explicit(0x00280004, "CS", "YBR_PARTIAL_420"),
    }
    elements |= {0x00280008: explicit(0x00280008, "IS", "50"), 0x7FE00010: encapsulated(video)}
    one = odd_image(elements, syntax="1.2.840.10008.1.2.4.102")
    assert (await store(one.data))[0] in {200, 202}
    for below, accept in (("/rendered", "video/mp4"), ("/rendered", "*/*"), ("/bulkdata/7FE00010", "video/mp4")):
        assert await ask("GET", at(one, below), Accept=accept) == (200, video)
    assert (await ask("GET", at(one, "/bulkdata/7FE00010"), Accept=OCTETS))[0] == 200
    assert (await ask("GET", at(one, "/rendered"), Accept="video/mp4", Range="bytes=0-9"))[0] == 206
    assert (await ask("GET", at(one, "/thumbnail"), Accept="image/jpeg"))[0] == 200
    study = f"/v2/studies/{one.identifier.study_instance_uid}"
    assert (await ask("GET", study, Accept=f'multipart/related; type="{DICOM}"'))[0] == 200


async def test_slips_of_newcomers_are_told_what_to_do(ask):
    for content_type in (
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "multipart/related",
        "",
    ):
        fields = {"Content_Type": content_type} if content_type else {}
        status, body = await ask("POST", "/v2/studies", b"x", **fields)
        assert status == 415
        assert b"application/dicom" in body
    for query, said in (
        ("StudyDate=1.1.2020", b"YYYYMMDD"),
        ("Modality=CT", b"ModalitiesInStudy"),
        ("Patientname=A", b"PatientName"),
    ):
        status, body = await ask("GET", f"/v2/studies?{query}", Accept=JSON)
        assert status == 400
        assert said in body
    assert (await ask("GET", "/v2/studies?PatientID=1", Accept="text/csv"))[1]
