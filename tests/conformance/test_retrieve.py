"""WADO-RS over HTTP: studies, series and instances (PS3.18 §10.4)."""

import asyncio
import io
import subprocess
import zipfile

import pytest

from tests.builders.documented import DOCUMENTED_URL, examples, run
from tests.builders.images import (
    DEFL,
    EBE,
    ELE,
    ILE,
    J2K_LOSSLESS,
    JPEG,
    MPEG2,
    RLE,
    image,
    new_uid,
)
from tests.conformance.exchange import DICOM, JSON, OCTETS, multipart_type, parts, several, syntax_of

# --------------------------------------------------------------------------------------------------------- instances


@pytest.mark.spec("WADO-9", "WADO-20", "WADO-25", "WADO-26", "STOW-13", "D-20")
@pytest.mark.parametrize("syntax", [ILE, ELE, DEFL, EBE, JPEG, J2K_LOSSLESS, RLE, MPEG2])
def test_an_instance_comes_back_byte_for_byte_in_whatever_syntax_it_was_stored(v2, syntax):
    one = image(syntax=syntax, frames=2, bits=16)
    v2.store(one)

    reply = v2.get(one.path, f"{DICOM}; transfer-syntax=*")

    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == f"{DICOM}; transfer-syntax={syntax}"
    assert reply.headers["Content-Length"] == str(len(one.data))
    assert reply.content == one.data


@pytest.mark.spec("WADO-5", "WADO-21", "WADO-22", "WADO-23", "WADO-24", "W-2", "W-9", "D-5", "D-21", "D-39")
@pytest.mark.parametrize("accept", ["*/*", None, several(DICOM, "*"), several("*/*"), several(DICOM)])
def test_an_instance_as_multipart_names_its_type_syntax_and_location(v2, accept):
    one = image()
    v2.store(one)

    reply = v2.get(one.path, accept)

    assert reply.status_code == 200
    assert multipart_type(reply) == DICOM
    (part,) = parts(reply)
    assert part.headers == {
        "content-type": f"{DICOM}; transfer-syntax={ELE}",
        "content-location": f"{v2.base}/{one.path}",
    }
    assert part.body == one.data


@pytest.mark.spec("WADO-7", "WADO-8", "ERR-1")
@pytest.mark.parametrize(
    "accept",
    [
        OCTETS,
        JSON,
        "image/png",
        several(OCTETS, "*"),
        f"{DICOM}; transfer-syntax={MPEG2}",
        f"{DICOM}; transfer-syntax=1.2.3",
        "nonsense",
    ],
)
def test_an_instance_in_a_form_that_cannot_be_produced_is_not_acceptable(v2, accept):
    one = image()
    v2.store(one)
    assert v2.get(one.path, accept).status_code == 406


@pytest.mark.spec("D-18", "WADO-11")
@pytest.mark.parametrize("syntax", [ILE, JPEG, RLE, MPEG2])
def test_an_instance_can_be_asked_for_in_the_very_syntax_that_is_stored(v2, syntax):
    one = image(syntax=syntax)
    v2.store(one)
    reply = v2.get(one.path, f"{DICOM}; transfer-syntax={syntax}")
    assert (reply.status_code, reply.content) == (200, one.data)


@pytest.mark.spec("WADO-3", "WADO-4")
def test_quality_decides_and_any_syntax_wins_among_equals(v2):
    one = image(syntax=JPEG)
    v2.store(one)
    reply = v2.get(one.path, f"image/png, {DICOM}; transfer-syntax={ELE}, {several(DICOM, '*')}")
    assert [syntax_of(part.headers["content-type"]) for part in parts(reply)] == [JPEG]
    reply = v2.get(one.path, f"{several(DICOM, '*')}; q=0.2, {DICOM}; transfer-syntax=*; q=0.8")
    assert reply.headers["Content-Type"] == f"{DICOM}; transfer-syntax={JPEG}"


@pytest.mark.spec("META-10", "D-24", "W-6")
def test_an_unchanged_instance_is_not_sent_again(v2):
    one = image()
    v2.store(one)
    accept = f"{DICOM}; transfer-syntax=*"
    tag = v2.get(one.path, accept).headers["ETag"]

    again = v2.get(one.path, accept, If_None_Match=tag)

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == tag
    assert again.headers["Cache-Control"] == "private, no-cache"
    assert v2.get(one.path, accept, If_None_Match='"0"').status_code == 200
    assert v2.get(one.path, several(DICOM, "*"), If_None_Match=tag).status_code == 200


@pytest.mark.spec("WADO-32")
@pytest.mark.parametrize("value", ["true", "TRUE", "false", "perhaps"])
def test_without_an_original_version_the_current_one_is_returned(v2, value):
    one = image()
    v2.store(one)
    assert v2.get(one.path, f"{DICOM}; transfer-syntax=*", msdicom_request_original=value).content == one.data
    assert v2.get(f"{one.path}/metadata", JSON, msdicom_request_original=value).status_code == 200


# -------------------------------------------------------------------------------------------------- study and series


@pytest.mark.spec("WADO-6", "WADO-23", "WADO-27", "D-17", "W-9")
@pytest.mark.parametrize(
    "accept", ["*/*", several(DICOM, "*"), "multipart/related; type=application/dicom; transfer-syntax=*"]
)
def test_a_study_of_mixed_syntaxes_comes_whole_each_part_in_its_own(v2, accept):
    study, series = new_uid(), new_uid()
    images = [image(study, series), image(study, series, syntax=JPEG, frames=3), image(study, syntax=MPEG2)]
    v2.store(*images, image())

    reply = v2.get(f"studies/{study}", accept)

    assert reply.status_code == 200
    expected = {
        f"{v2.base}/{one.path}": (f"{DICOM}; transfer-syntax={one.transfer_syntax_uid}", one.data) for one in images
    }
    got = {part.headers["content-location"]: (part.headers["content-type"], part.body) for part in parts(reply)}
    assert got == expected
    reply = v2.get(f"studies/{study}/series/{series}", accept)
    assert {part.body for part in parts(reply)} == {one.data for one in images[:2]}


@pytest.mark.spec("WADO-10", "WADO-34", "D-19", "D-45")
def test_a_study_that_is_stored_in_the_requested_syntax_needs_no_star(v2):
    study = new_uid()
    v2.store(image(study), image(study))
    assert len(parts(v2.get(f"studies/{study}", several(DICOM)))) == 2
    v2.store(image(study, syntax=MPEG2))
    assert v2.get(f"studies/{study}", several(DICOM, ELE)).status_code == 406
    reply = v2.get(f"studies/{study}", several(DICOM))
    assert len(parts(reply)) == 3
    assert "1 of 3 instances are sent in their stored transfer syntax." in reply.headers["warning"]


@pytest.mark.spec("WADO-8", "WADO-7")
@pytest.mark.parametrize("accept", [DICOM, f"{DICOM}; transfer-syntax=*", several(OCTETS), several(DICOM, MPEG2)])
def test_a_study_or_series_is_multipart_dicom_or_nothing(v2, accept):
    study = new_uid()
    one = image(study)
    v2.store(one)
    assert v2.get(f"studies/{study}", accept).status_code == 406
    assert v2.get(one.path.partition("/instances/")[0], accept).status_code == 406


@pytest.mark.spec("WADO-28", "WADO-26")
def test_many_instances_and_large_ones_stream_through(v2):
    study, series = new_uid(), new_uid()
    small = [image(study, series) for _ in range(30)]
    large = image(study, series, size=(1500, 1500), bits=16)
    v2.store(*small, large)
    got = {part.body for part in parts(v2.get(f"studies/{study}/series/{series}"))}
    assert got == {one.data for one in [*small, large]}


# ------------------------------------------------------------------------------------------------- paths and order


@pytest.mark.spec("WADO-30", "WADO-31")
def test_what_does_not_exist_under_this_path_is_not_found(v2):
    one, other = image(), image()
    v2.store(one, other)
    mine, theirs = one.identifier, other.identifier
    series = f"studies/{mine.study_instance_uid}/series/{mine.series_instance_uid}"
    for path in (
        f"studies/{new_uid()}",
        f"studies/{mine.study_instance_uid}/series/{theirs.series_instance_uid}",
        f"{series}/instances/{theirs.sop_instance_uid}",
        f"{series}/instances/{theirs.sop_instance_uid}/frames/1",
        other.path.replace(theirs.study_instance_uid, mine.study_instance_uid),
    ):
        assert v2.get(path).status_code == 404
        if "frames" not in path:
            assert v2.get(f"{path}/metadata", JSON).status_code == 404


@pytest.mark.spec("D-18")
@pytest.mark.parametrize("suffix", ["", "/frames/1"])
def test_a_syntax_outside_the_table_is_not_acceptable_even_where_nothing_exists(v2, suffix):
    path = f"studies/{new_uid()}/series/{new_uid()}/instances/{new_uid()}{suffix}"
    media_type = OCTETS if suffix else DICOM
    assert v2.get(path, several(media_type, MPEG2)).status_code == 406
    assert v2.get(path, several(media_type, "*")).status_code == 404


@pytest.mark.spec("UID-1", "UID-2", "UID-3", "CON-8", "W-12")
def test_uids_in_paths_are_lenient_but_not_arbitrary(v2):
    one = image()
    v2.store(one)
    assert v2.get(f"{one.path}%20%20").status_code == 200
    assert v2.get("studies/1..02.3").status_code == 404
    for bad in ("abc.1", "98-0-705", "1.", "1" * 65, "1%20x"):
        assert v2.get(f"studies/{bad}").status_code == 400
        assert v2.get(f"studies/{bad}/metadata", JSON).status_code == 400
        assert v2.get(f"studies/1/series/{bad}/instances/1/frames/1").status_code == 400


@pytest.mark.spec("FRM-1", "FRM-4")
def test_the_first_failing_check_decides(v2):
    one = image()
    v2.store(one)
    nowhere = f"studies/{new_uid()}/series/{new_uid()}/instances/{new_uid()}"
    # UIDs before Accept, Accept before existence
    assert v2.get("studies/abc", "image/png").status_code == 400
    assert v2.get(nowhere, "image/png").status_code == 406
    # metadata: Accept before UIDs
    assert v2.get("studies/abc/metadata", "image/png").status_code == 406
    # frame list, UIDs, frame numbers, Accept, single part, existence, frame
    assert v2.get("studies/abc/series/1/instances/1/frames/x", "image/png").status_code == 400
    assert v2.get(f"{nowhere}/frames/0", "image/png").status_code == 400
    assert v2.get(f"{nowhere}/frames/1,2", "image/png").status_code == 406
    assert v2.get(f"{nowhere}/frames/1,2", OCTETS).status_code == 400
    assert v2.get(f"{nowhere}/frames/1", OCTETS).status_code == 404
    assert v2.get(f"{one.path}/frames/1,2", several(OCTETS)).status_code == 404


@pytest.mark.spec("URL-12", "W-18")
def test_head_answers_what_get_would_without_a_body(v2):
    one = image()
    v2.store(one)
    for path, accept in (
        (one.path, f"{DICOM}; transfer-syntax=*"),
        (one.path, "*/*"),
        (f"{one.path}/frames/1", OCTETS),
        (f"{one.path}/metadata", JSON),
        (f"studies/{new_uid()}", "*/*"),
        (one.path, "image/png"),
    ):
        get, head = v2.get(path, accept), v2.send("HEAD", path, accept)
        assert (head.status_code, head.content) == (get.status_code, b"")
        assert head.headers.get("ETag") == get.headers.get("ETag")
        assert (
            head.headers["Content-Type"].partition("boundary")[0]
            == get.headers["Content-Type"].partition("boundary")[0]
        )
    head = v2.send("HEAD", one.path, f"{DICOM}; transfer-syntax=*")
    assert head.headers["Content-Length"] == str(len(one.data))


@pytest.mark.spec("ZIP-1", "ZIP-7")
def test_a_study_is_downloaded_as_an_archive(v2):
    study = new_uid()
    images = [image(study) for _ in range(3)]
    v2.store(*images)

    reply = v2.get(f"studies/{study}", "application/zip")
    archive = zipfile.ZipFile(io.BytesIO(reply.content))
    head = v2.send("HEAD", f"studies/{study}", "application/zip")

    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "application/zip")
    assert sorted(archive.read(name) for name in archive.namelist()) == sorted(one.data for one in images)
    assert int(head.headers["Content-Length"]) == len(reply.content)


@pytest.mark.spec("ZIP-1", "ZIP-4")
async def test_the_examples_of_the_page_download_archives(v2, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = new_uid()
    images = [image(study) for _ in range(2)]
    v2.store(*images)
    url = v2.base.removesuffix("/v2")
    files = sorted(one.data for one in images)
    shells = [each for each in examples("api/retrieve.md", "sh") if "application/zip" in each]
    [script] = [each for each in examples("api/retrieve.md", "python") if "application/zip" in each]
    downloaded = tmp_path / f"{study}.zip"
    found = []
    for shell in shells:
        command = ["bash", "-ec", shell.replace(DOCUMENTED_URL, url).replace("STUDY", study)]
        await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
        found.append(zipfile.ZipFile(io.BytesIO(downloaded.read_bytes())))
        downloaded.unlink()
    await run(script, url=url, study=study)
    found.append(zipfile.ZipFile("study.zip"))

    assert ["DICOMDIR" in archive.namelist() for archive in found] == [False, True, False]
    for archive in found:
        names = set(archive.namelist()) - {"DICOMDIR"}
        assert sorted(archive.read(name) for name in names) == files
