"""What the import program sends, remembers and shows."""

import io
import json
import os
import warnings
import zipfile

import pytest

from dicom_cli.importing.container import Waiting
from dicom_cli.importing.folder import LocalFile, PassedOver, Verdict, files_of
from dicom_cli.importing.identifiers import identifiers
from dicom_cli.importing.journal import Journal
from dicom_cli.importing.progress import Progress
from dicom_cli.importing.stow import _failures
from tests.builders.files import file


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.dcm").write_bytes(file().data)
    (tmp_path / "1").write_bytes(file().data)
    (tmp_path / "DICOMDIR").write_bytes(file().data)
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


def test_what_looks_like_dicom_is_sent_in_order(folder):
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "3.dcm").write_bytes(file().data)
    (folder / "picture").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    found = [(one.name, one.reason if isinstance(one, PassedOver) else "sent") for one in files_of(folder)]
    assert found == [
        ("1", "sent"),
        ("DICOMDIR", "DICOMDIR"),
        ("empty", "empty"),
        ("notes.txt", "no DICOM file"),
        ("picture", "picture or document"),
        ("b/2.dcm", "sent"),
    ]
    assert all(isinstance(one, LocalFile) for one in files_of(folder, everything=True))


@pytest.mark.spec("CLI-2")
def test_one_file_is_sent_as_those_of_a_folder_are(folder):
    with zipfile.ZipFile(folder / "c.zip", "w") as archive:
        archive.writestr("deep/1.dcm", file().data)

    assert [type(one) for one in files_of(folder / "notes.txt")] == [PassedOver]
    [found] = files_of(folder / "b" / "2.dcm")
    assert (found.name, identifiers(found).complete) == ("2.dcm", True)
    assert [one.name for one in files_of(folder / "c.zip", archives=True)] == ["c.zip!/deep/1.dcm"]


def test_a_data_set_without_file_meta_information_is_sent_with_what_it_lacks(folder):
    whole = file().data
    length = int.from_bytes(whole[140:144], "little")
    (folder / "bare").write_bytes(whole[144 + length :])
    [found] = [one for one in files_of(folder) if one.name == "bare"]
    assert "file meta information" in found.lacks.added
    said = identifiers(found)
    assert said.complete
    assert said.has_patient
    assert identifiers(one_of(folder)).complete


def test_archives_are_looked_into_when_asked(folder):
    with zipfile.ZipFile(folder / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/1.dcm", file().data)
        archive.writestr("deep/notes.txt", "notes")
    (folder / "broken.zip").write_bytes(b"PK\x03\x04" + bytes(500))
    shut = {one.name: one for one in files_of(folder)}
    assert "zip" in shut["c.zip"].reason
    opened = {one.name: one for one in files_of(folder, archives=True)}
    assert isinstance(opened["broken.zip"], PassedOver)
    assert isinstance(opened["c.zip!/deep/notes.txt"], PassedOver)
    member = opened["c.zip!/deep/1.dcm"]
    with member.open() as stream:
        assert len(stream.read()) == member.length
    assert identifiers(member).complete


def test_a_damaged_archive_ends_no_import(folder):
    data = file().data
    with zipfile.ZipFile(folder / "c.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.dcm", data)
    whole = (folder / "c.zip").read_bytes()
    (folder / "directory.zip").write_bytes(whole.replace(b"PK\x01\x02", b"PK\x01\x03"))
    (folder / "member.zip").write_bytes(whole[:60] + bytes(40) + whole[100:])

    found = {one.name: one for one in files_of(folder, archives=True)}

    assert found["directory.zip"] == PassedOver("directory.zip", "damaged zip archive")
    with found["c.zip!/1.dcm"].open() as stream:
        assert stream.read() == data
    with found["member.zip!/1.dcm"].open() as stream, pytest.raises(OSError, match="cannot be read"):
        stream.read()
    assert identifiers(found["member.zip!/1.dcm"]) is None


def one_of(folder, name="1"):
    return next(one for one in files_of(folder) if one.name == name)


def test_a_run_that_was_cut_off_is_taken_up_again(folder, tmp_path):
    first, second = one_of(folder), one_of(folder, "b/2.dcm")
    journal = Journal.of(tmp_path / "journals", folder, "target")
    journal.note_upload(first)
    journal.note(second, Verdict("refused", "why"))
    journal.close()
    with journal.path.open("a") as torn:
        torn.write('{"name": "1", "len')

    again = Journal.of(tmp_path / "journals", folder, "target")
    assert again.id == journal.id
    assert again.is_uploaded(first)
    assert again.verdict(first) is None
    assert again.verdict(second) == Verdict("refused", "why")
    again.note(first, Verdict("duplicate"))
    again.close()

    third = Journal.of(tmp_path / "journals", folder, "target")
    assert third.verdict(first) == Verdict("duplicate")
    third.close()


def test_a_file_that_has_changed_is_sent_again_and_other_targets_know_nothing(folder, tmp_path):
    journal = Journal.of(tmp_path / "journals", folder, "target")
    journal.note(one_of(folder), Verdict("stored"))
    journal.close()
    os.utime(folder / "1", ns=(1, 1))

    again, other = (Journal.of(tmp_path / "journals", folder, target) for target in ("target", "other"))
    assert again.verdict(one_of(folder)) is None
    assert other.id != again.id
    again.close()
    other.close()


def test_a_journal_can_be_forgotten_and_knows_what_is_missing(folder, tmp_path):
    journal = Journal.of(tmp_path / "journals", folder, "target")
    assert not journal.begun
    journal.note(one_of(folder), Verdict("stored", added="the preamble"))
    journal.note_passed_over(PassedOver("notes.txt", "no DICOM file"))
    journal.close()
    second = Journal.of(tmp_path / "journals", folder, "target")
    assert second.begun
    assert second.verdict(one_of(folder)) == Verdict("stored", added="the preamble")
    second.note_passed_over(PassedOver("notes.txt", "no DICOM file"))
    assert second.path.read_text().count("notes.txt") == 1
    second.note_missing(one_of(folder))
    assert second.verdict(one_of(folder)) is None
    second.close()
    third = Journal.of(tmp_path / "journals", folder, "target", restart=True)
    assert not third.begun
    assert third.id != second.id
    third.close()


def test_the_speed_is_that_of_this_run():
    time = [0.0]
    progress = Progress(1000, io.StringIO(), lambda: time[0])
    for _ in range(900):
        progress.earlier("stored")
    time[0] = 10.0
    for _ in range(20):
        progress.done("stored")
    assert "920 of 1,000 files, 2 a second" in progress.text()
    progress.undone("stored")
    assert "919 of 1,000 files" in progress.text()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_and_everything_else_lines():
    time = [0.0]
    for stream in (Terminal(), io.StringIO()):
        progress = Progress(4, stream, lambda: time[0])
        for state in ("stored", "duplicate", "refused"):
            time[0] += 60
            progress.uploaded()
            progress.done(state)
        progress.close()
        text = stream.getvalue()
        assert ("\r[" in text) is stream.isatty()
        assert "3 of 4 files, 1 refused" in text
        assert text.endswith("\n")


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "<html>", '{"00081198": {"Value": [{}]}}', '{"00081198": 3}'])
def test_an_answer_without_failure_reasons_has_none(text):
    assert _failures(text) == (set(), [])


def test_the_reasons_of_an_answer_are_found():
    items = [{"00081197": {"vr": "US", "Value": [reason]}} for reason in (45070, 43264)]
    assert _failures(json.dumps({"00081198": {"vr": "SQ", "Value": items}})) == ({45070, 43264}, [])


def test_a_refusal_of_the_whole_file_is_told():
    comment = {"vr": "LO", "Value": ["The file ends in the middle of a data element."]}
    item = {"00081197": {"vr": "US", "Value": [43264]}, "00000902": comment}
    text = json.dumps({"00081198": {"vr": "SQ", "Value": [item]}})
    assert _failures(text) == ({43264}, ["The file ends in the middle of a data element."])


def test_the_error_comments_of_an_answer_are_told_without_the_values_that_they_quote():
    comment = 'DICOM100: (0010,0030) - Content "19301" does not validate VR DA: not a date YYYYMMDD'
    attributes = {"vr": "SQ", "Value": [{"00000902": {"vr": "LO", "Value": [comment]}}]}
    item = {"00081197": {"vr": "US", "Value": [43264]}, "00741048": attributes}
    reasons, comments = _failures(json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}))
    assert reasons == {43264}
    assert comments == ["DICOM100: (0010,0030) - Content does not validate VR DA: not a date YYYYMMDD"]


class Sender:
    """What a service reports of files, and what is in its containers."""

    def __init__(self):
        self.reports = []
        self.acknowledged = []
        self.containers = (set(), {})

    async def results(self):
        def acknowledge(name):
            async def note():
                self.acknowledged.append(name)

            return note

        found = [(name, verdict, acknowledge(name)) for name, verdict in self.reports]
        self.reports = []
        return found

    async def look(self):
        return self.containers


def local(name, tmp_path):
    return LocalFile(tmp_path / name, name, 1, 1)


async def test_a_report_settles_its_file_once_even_if_it_comes_before_the_upload_is_noted(tmp_path):
    sender, settled = Sender(), []
    waiting = Waiting(sender, lambda one, verdict: settled.append((one.name, verdict.state)))
    sender.reports = [("a", Verdict("stored")), ("b", Verdict("duplicate"))]
    waiting.add(local("a", tmp_path))
    assert await waiting.step(0)
    waiting.add(local("b", tmp_path))
    sender.reports = [("a", Verdict("stored"))]
    assert await waiting.step(0)

    assert settled == [("a", "stored"), ("b", "duplicate")]
    assert sender.acknowledged == ["a", "b", "a"]
    assert len(waiting) == 0


async def test_where_no_report_comes_the_containers_tell(tmp_path, monkeypatch):
    monkeypatch.setattr("dicom_cli.importing.container._LOOK_SECONDS", 0)
    sender, settled = Sender(), {}
    waiting = Waiting(sender, lambda one, verdict: settled.__setitem__(one.name, verdict))
    for name in ("pending", "gone", "bad"):
        waiting.add(local(name, tmp_path))
    sender.containers = ({"pending"}, {"bad": "why"})

    assert await waiting.step(0)

    assert settled == {"gone": Verdict("stored"), "bad": Verdict("refused", "why")}
    assert len(waiting) == 1
    assert not await waiting.step(0)


def archived(path, *members, method=zipfile.ZIP_DEFLATED):
    """An archive of these members; its bytes."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return bytearray(path.read_bytes())


def test_members_of_one_name_are_files_of_their_own(tmp_path):
    one, two = file().data, file().data
    path = tmp_path / "a.zip"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archived(path, ("a.dcm", one), ("folder/", b""), ("a.dcm", two))
    found = list(files_of(path, archives=True))
    assert [each.name for each in found] == ["a.zip!/a.dcm", "a.zip!/a.dcm (2)"]
    for each, data in zip(found, (one, two), strict=True):
        with each.open() as stream:
            assert stream.read() == data


def test_the_directory_of_an_archive_is_read_once_however_many_members_it_has(tmp_path, monkeypatch):
    path = tmp_path / "many.zip"
    archived(path, *((f"{number}.dcm", file().data) for number in range(20)))
    opened = []
    original = zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda *options: opened.append(options) or original(*options))
    for each in list(files_of(path, archives=True)):
        assert identifiers(each).complete
    assert len(opened) == 1


DAMAGES = {
    "the length of a member": lambda data, entry: data.__setitem__(slice(entry + 24, entry + 28), b"\xff\xff\xff\x7f"),
    "a length of 64 bits": lambda data, entry: data.__setitem__(slice(entry + 20, entry + 28), b"\xff" * 8),
    "where a member is": lambda data, entry: data.__setitem__(slice(entry + 42, entry + 46), b"\xff\xff\xff\x7f"),
    "encryption": lambda data, entry: data.__setitem__(entry + 8, 1),
    "the method": lambda data, entry: data.__setitem__(entry + 10, 99),
    "the bytes": lambda data, entry: data.__setitem__(slice(60, 80), bytes(20)),
    "where the directory is": lambda data, entry: data.__setitem__(slice(-6, -2), b"\xff\xff\xff\x7f"),
    "the directory": lambda data, entry: data.__setitem__(slice(entry, entry + 4), b"ABCD"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_archive_costs_its_members_and_nothing_else(folder, damage):
    data = archived(folder / "c.zip", ("1.dcm", file().data + bytes(100)))
    damage(data, data.rindex(b"PK\1\2"))
    (folder / "c.zip").write_bytes(data)
    found = {each.name: each for each in files_of(folder, archives=True)}
    assert {"1", "b/2.dcm", "notes.txt"} <= set(found)
    [damaged] = [each for name, each in found.items() if name.startswith("c.zip")]
    if isinstance(damaged, PassedOver):
        assert damaged.reason == "damaged zip archive"
        return
    with pytest.raises(OSError, match="the archive cannot be read") as refused, damaged.open() as stream:
        stream.read()
    assert refused.value.strerror


def test_members_that_share_their_bytes_are_refused_one_by_one(tmp_path):
    path = tmp_path / "bomb.zip"
    data = archived(path, ("a.dcm", file().data), ("b.dcm", file().data))
    first = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    path.write_bytes(data)
    found = list(files_of(path, archives=True, everything=True))
    assert [identifiers(each) is None for each in found] in ([False, True], [True, True])
