"""STOW-RS and PUT over HTTP (PS3.18 §10.5; dicomweb §6)."""

import concurrent.futures
import io

import pydicom
import pytest
from pydicom.data import get_testdata_file

from tests.builders.files import (
    CT,
    PATIENT_ID,
    STUDY_DATE,
    file,
)
from tests.builders.images import ELE, ILE, J2K_LOSSLESS, JPEG, MPEG2, RLE, image, multipart, new_uid
from tests.conformance.exchange import refusal
from tests.conformance.stores import (
    DICOM,
    EXPIRY,
    FAILED,
    JSON,
    RETRIEVE_URL,
    STORED,
    B,
    Client,
    item,
    part,
    parts,
    reasons,
    value,
    warning,
)

# ------------------------------------------------------------------------------------------------------- the request


@pytest.mark.spec("STOW-1", "STOW-9", "STOW-30", "STOW-32", "STOW-35", "CON-1", "ACC-1")
def test_one_file_alone_is_stored(client):
    one = file()

    reply = client.post(one.data, DICOM)

    assert reply.status_code == 200
    assert reply.headers["Content-Type"].partition(";")[0] == JSON
    assert set(reply.json()) == {STORED}
    stored = item(reply, STORED)
    assert value(stored["00081150"]) == CT
    assert value(stored["00081155"]) == one.identifier.sop_instance_uid
    assert value(stored[RETRIEVE_URL]) == f"{client.base}/{one.path}"
    assert "00081196" not in stored
    assert stored.get("00741048") == ({"vr": "SQ"} if client.v2 else None)


@pytest.mark.spec("STOW-1", "STOW-2", "STOW-31", "STOW-34", "STOW-40", "QIDO-46")
@pytest.mark.parametrize(
    "content_type",
    [
        f"multipart/related; boundary={B}",
        f"multipart/related; type=application/dicom; boundary={B}",
        f'multipart/related; type="application/dicom"; boundary="{B}"',
        f'Multipart/Related; boundary="{B}"; type="APPLICATION/dicom"',
    ],
)
def test_the_parts_of_a_multipart_body_are_stored_in_order(client, content_type):
    study = new_uid()
    files = [file(study=study) for _ in range(3)]

    reply = client.post(multipart([one.data for one in files])[0], content_type, path=f"studies/{study}")

    assert reply.status_code == 200
    assert value(reply.json()[RETRIEVE_URL]) == f"{client.base}/studies/{study}"
    stored = [value(each["00081155"]) for each in reply.json()[STORED]["Value"]]
    assert stored == [one.identifier.sop_instance_uid for one in files]
    assert len(client.search(f"studies/{study}/instances")) == 3


@pytest.mark.spec("STOW-1", "STOW-2", "ERR-2")
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        f"multipart/form-data; boundary={B}",
        "multipart/related",
        "application/dicom+json",
        "text/plain",
    ],
)
def test_another_content_type_is_415_and_says_which_are_stored(client, content_type):
    reply = client.post(file().data, content_type)

    assert (reply.status_code, bool(refusal(reply))) == (415, True)
    assert "--data-binary @image.dcm" in reply.text


@pytest.mark.spec("STOW-1", "W-11", "STOW-9")
@pytest.mark.parametrize(
    ("content_type", "accept", "status"),
    [
        ("text/plain", "image/png", 415),
        (None, "image/png", 406),
        (None, "*/*", 415),
        (DICOM, "image/png", 406),
        (DICOM, "application/dicom+json+x", 406),
        (DICOM, "application/dicom", 406),
    ],
)
def test_the_content_type_is_judged_before_accept_and_its_absence_after(client, content_type, accept, status):
    one = file()
    reply = client.post(one.data, content_type, accept=accept)

    assert reply.status_code == status
    assert not client.is_stored(one)


@pytest.mark.spec("STOW-9", "ACC-2", "ACC-3", "W-2")
@pytest.mark.parametrize(
    "accept", ["*/*", "application/*", "application/json", "image/png, application/dicom+json", None]
)
def test_what_accepts_json_is_answered_in_json(client, accept):
    assert client.post(file().data, DICOM, accept=accept).status_code == 200


@pytest.mark.spec("STOW-2")
def test_a_start_parameter_is_400(client):
    body, content_type = multipart([file().data])

    assert client.post(body, f"{content_type}; start=first").status_code == 400


@pytest.mark.spec("STOW-3", "STOW-7")
def test_one_part_of_another_type_makes_the_request_415_and_nothing_is_stored(client):
    first, last = file(), file()
    body = parts(part(first.data), part(b"\xff\xd8", "image/jpeg"), part(last.data))

    reply = client.post(body)

    assert reply.status_code == 415
    assert reply.text
    assert not client.is_stored(first)
    assert not client.is_stored(last)


@pytest.mark.spec("STOW-4")
def test_only_the_first_part_may_lack_a_content_type(client):
    one, two = file(), file()

    assert client.post(parts(part(one.data, None), part(two.data))).status_code == 200
    assert client.is_stored(one)
    assert client.post(parts(part(file().data), part(file().data, None))).status_code == 415
    untyped = f"multipart/related; boundary={B}"
    assert client.post(parts(part(file().data, None)), untyped).status_code == 415


@pytest.mark.spec("STOW-5", "D-8")
def test_parameters_of_the_type_are_accepted_and_the_file_is_trusted(client):
    one, two = image(syntax=RLE), image()

    assert client.post(one.data, f"{DICOM}; transfer-syntax={ELE}").status_code == 200
    assert client.post(parts(part(two.data, f"{DICOM}; transfer-syntax={RLE}"))).status_code == 200
    assert client.file_of(one).headers["Content-Type"] == f"{DICOM}; transfer-syntax={RLE}"
    assert client.file_of(two).headers["Content-Type"] == f"{DICOM}; transfer-syntax={ELE}"


@pytest.mark.spec("STOW-6")
@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_multipart_body_that_was_cut_short_is_400_and_nothing_is_stored(client, cut):
    one, two = file(), file()
    body, content_type = multipart([one.data, two.data])

    reply = client.post(body[: -len(f"--{B}--\r\n") - cut], content_type)

    assert reply.status_code == 400
    assert not client.is_stored(one)


@pytest.mark.spec("STOW-10", "UID-1", "UID-3")
@pytest.mark.parametrize("study", ["abc.1", "98-0-705", "1.2.", "1" * 65])
def test_a_study_that_is_no_uid_is_400(client, study):
    assert client.store(file(), path=f"studies/{study}").status_code == 400


@pytest.mark.spec("STOW-11", "W-5", "D-37")
@pytest.mark.parametrize("body", [f"--{B}--", f"--{B}--\r\n", f"--{B}\r\n\r\n--{B}--\r\n", f"--{B}\r\n\r\n\r\n--{B}--"])
def test_no_part_at_all_is_204(client, body):
    reply = client.post(body.encode())

    assert (reply.status_code, reply.content) == (204, b"")


@pytest.mark.spec("STOW-12", "STOW-33", "ERR-3")
def test_an_empty_body_is_one_failed_instance(client):
    alone = client.post(b"", DICOM)
    assert alone.status_code == 409
    assert item(alone, FAILED)["00081197"] == {"vr": "US", "Value": [43264]}

    part_alone = client.post(parts(part(b"")))
    assert (part_alone.status_code, reasons(part_alone)) == (409, [43264])

    one = file()
    beside = client.post(parts(part(b""), part(one.data)))
    assert (beside.status_code, reasons(beside)) == (202, [43264])
    assert client.is_stored(one)


@pytest.mark.spec("STOW-12", "STOW-33")
@pytest.mark.parametrize(
    "data",
    [
        b"not DICOM at all",
        bytes(132),
        bytes(128) + b"DICM",
        file().data[:-5],
        file().data[:150],
        b"\xff" * 5000,
    ],
)
def test_what_is_not_a_readable_file_fails_with_a_sentence(client, data):
    one = file()
    reply = client.post(parts(part(data), part(one.data)))

    assert reply.status_code == 202
    failed = item(reply, FAILED)
    assert failed["00081197"] == {"vr": "US", "Value": [43264]}
    assert failed["00000902"]["Value"]
    assert "00741048" not in failed
    assert client.is_stored(one)


def chunked(data, size):
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.spec("STOW-6", "STOW-13")
@pytest.mark.parametrize("size", [7, 61, 4096])
def test_it_does_not_matter_how_the_body_is_cut(store_v2, size):
    one, two = image(frames=2), file()
    body, content_type = multipart([one.data, two.data])

    reply = store_v2.post(chunked(body, size), content_type)

    assert reply.status_code == 200
    assert store_v2.file_of(one).content == one.data


# ---------------------------------------------------------------------------------------------------------- the file


@pytest.mark.spec("STOW-13", "STOW-15", "CON-4")
@pytest.mark.parametrize("syntax", [ELE, JPEG, J2K_LOSSLESS, MPEG2, RLE])
def test_a_file_is_kept_byte_for_byte(client, syntax):
    one = image(syntax=syntax, frames=2)

    assert client.store(one).status_code == 200
    assert client.file_of(one).content == one.data


@pytest.mark.spec("STOW-14", "D-10", "P-6")
def test_the_preamble_is_cleared(client):
    one = file(preamble=b"MZ" * 64)

    assert client.store(one).status_code == 200
    assert client.file_of(one).content == bytes(128) + one.data[128:]


@pytest.mark.spec("STOW-15", "D-11", "JSON-10", "META-4")
def test_implicit_vr_is_stored_with_a_warning(client):
    one = file({0x00070010: ("LO", "CREATOR"), 0x00071008: ("LO", "private")}, syntax=ILE)

    reply = client.store(one)

    assert reply.status_code == (202 if client.v2 else 200)
    assert warning(reply) == 45063
    assert client.file_of(one).content == one.data
    assert "00071008" not in client.metadata(one) or not client.v2 or "BulkDataURI" in client.metadata(one)["00071008"]


@pytest.mark.spec("STOW-13", "STOW-7")
def test_a_large_file_is_streamed_through(store_v2):
    one = image(frames=24, size=(1024, 1024), bits=16)
    assert len(one.data) > 48 * 1024**2

    assert store_v2.post(chunked(one.data, 256 * 1024), DICOM).status_code == 200
    assert store_v2.file_of(one).content == one.data


@pytest.mark.spec("STOW-7", "STOW-34")
def test_many_files_in_one_request(store_v2):
    study, series = new_uid(), new_uid()
    files = [file({0x00200013: str(number)}, study=study, series=series) for number in range(120)]

    reply = store_v2.store(*files)

    assert reply.status_code == 200
    stored = [value(each["00081155"]) for each in reply.json()[STORED]["Value"]]
    assert stored == [one.identifier.sop_instance_uid for one in files]
    assert len(store_v2.get(f"studies/{study}/metadata", JSON).json()) == 120


SAMPLES = ["CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "rtplan.dcm", "reportsi.dcm", "SC_rgb_jpeg_dcmtk.dcm"]


@pytest.mark.spec("STOW-13", "STOW-32")
@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_of_a_real_modality_comes_back_as_it_was(store_v2, name):
    dataset = pydicom.dcmread(get_testdata_file(name))
    dataset.StudyInstanceUID, dataset.SOPInstanceUID = new_uid(), new_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = io.BytesIO()
    dataset.save_as(buffer)

    reply = store_v2.post(buffer.getvalue(), DICOM)

    assert reply.status_code in {200, 202}, reply.text
    url = value(item(reply, STORED)[RETRIEVE_URL])
    back = store_v2.session.get(url, headers={"Accept": f"{DICOM}; transfer-syntax=*"}, timeout=60)
    assert back.content[128:] == buffer.getvalue()[128:]


# -------------------------------------------------------------------------------------------------------- duplicates


@pytest.mark.spec("STOW-33", "CON-1", "CON-9", "D-38")
def test_an_instance_is_stored_once(client):
    one = file()
    padded = file(
        study=one.identifier.study_instance_uid,
        series=one.identifier.series_instance_uid,
        sop_instance=f"{one.identifier.sop_instance_uid}  ",
    )

    assert client.store(one).status_code == 200
    for again in (one, padded):
        reply = client.store(again)
        assert (reply.status_code, reasons(reply)) == (409, [45070])
        assert "00741048" not in item(reply, FAILED)
    assert client.file_of(one).content == one.data


@pytest.mark.spec("CON-1")
def test_the_same_sop_instance_in_another_study_or_series_is_another_instance(store_v2):
    one = file()
    sop_instance = one.identifier.sop_instance_uid

    assert store_v2.store(one).status_code == 200
    assert store_v2.store(file(sop_instance=sop_instance)).status_code == 200
    assert store_v2.store(file(sop_instance=sop_instance, study=one.identifier.study_instance_uid)).status_code == 200


@pytest.mark.spec("STOW-40")
def test_of_the_same_instance_twice_in_a_request_the_first_wins(client):
    one = file()
    second = file({0x00081030: "Second"}, **_uids(one))

    reply = client.store(one, second)

    assert (reply.status_code, reasons(reply)) == (202, [45070])
    assert client.file_of(one).content == one.data


def _uids(one):
    identifier = one.identifier
    return {
        "study": identifier.study_instance_uid,
        "series": identifier.series_instance_uid,
        "sop_instance": identifier.sop_instance_uid,
    }


@pytest.mark.spec("STOW-33", "STOW-42")
def test_of_many_who_store_the_same_instance_at_once_one_succeeds(store_v2):
    one = file()

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _: Client.store(Client(store_v2.base[:-3], "v2"), one), range(6)))

    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 5
    assert {reason for reply in replies for reason in reasons(reply)} <= {45070, 45071}
    assert store_v2.file_of(one).content == one.data
    assert len(store_v2.search(f"studies/{one.identifier.study_instance_uid}/instances")) == 1


# --------------------------------------------------------------------------------------------------------------- PUT


@pytest.mark.spec("PUT-1", "PUT-2")
def test_put_replaces_an_instance(store_v2):
    one = file({0x00081030: "Old"})
    new = file({0x00081030: "New"}, **_uids(one))
    study = one.identifier.study_instance_uid

    assert store_v2.store(one, method="PUT").status_code == 200
    before = store_v2.get(f"{one.path}/metadata", JSON).headers["ETag"]
    reply = store_v2.store(new, method="PUT", path=f"studies/{study}")

    assert reply.status_code == 200
    assert value(reply.json()[RETRIEVE_URL]) == f"{store_v2.base}/studies/{study}"
    assert store_v2.file_of(one).content == new.data
    assert store_v2.get(f"{one.path}/metadata", JSON).headers["ETag"] != before
    assert len(store_v2.search(f"studies/{study}/instances")) == 1
    assert len(store_v2.search("studies", StudyInstanceUID=study, StudyDescription="New")) == 1


@pytest.mark.spec("PUT-1")
def test_put_judges_as_post_does(store_v2):
    reply = store_v2.store(file({PATIENT_ID: None}), file({STUDY_DATE: "NotADate"}), method="PUT")

    assert (reply.status_code, reasons(reply), warning(reply)) == (202, [43264], 1)


@pytest.mark.spec("PUT-5", "URL-11")
def test_put_is_405_in_v1(store_v1):
    reply = store_v1.store(file(), method="PUT")

    assert reply.status_code == 405
    assert "POST" in reply.headers["Allow"]
    assert "PUT" not in reply.headers["Allow"]


@pytest.mark.spec("XMD-0")
def test_an_attribute_outside_the_files_is_400_in_every_version_and_nothing_is_stored(store_v1, store_v2):
    one = file()

    for store in (store_v1, store_v2):
        assert store.store(one, **{"MSDicom-Meta-LO-00091001": "Trial 7"}).status_code == 400
    assert not store_v2.is_stored(one)


@pytest.mark.spec("XMD-0")
def test_asking_for_attributes_outside_the_files_changes_nothing(store_v2):
    one = file()
    store_v2.store(one)
    path = f"studies/{one.identifier.study_instance_uid}/metadata"

    with_it, without = (store_v2.get(path, **fields) for fields in ({"msdicom-request-meta": "true"}, {}))

    assert (with_it.status_code, with_it.content) == (200, without.content)


# ------------------------------------------------------------------------------------------------------------ expiry


@pytest.mark.spec("EXP-2")
@pytest.mark.parametrize(
    "headers",
    [
        {EXPIRY: "0"},
        {EXPIRY: "tomorrow"},
        {EXPIRY: "1000", "msdicom-expiry-option": "Absolute"},
        {EXPIRY: "1000", "msdicom-expiry-level": "Series"},
    ],
)
def test_a_bad_expiry_is_400_and_nothing_is_stored(store_v1, store_v2, headers):
    one = file()

    assert store_v2.store(one, **headers).status_code == 400
    assert not store_v2.is_stored(one)
    assert store_v1.store(one, **headers).status_code == 200


@pytest.mark.spec("EXP-1")
def test_an_expiry_in_the_future_does_not_disturb(store_v2):
    one = file()

    assert store_v2.store(one, **{EXPIRY: "3600000"}).status_code == 200
    assert store_v2.is_stored(one)
