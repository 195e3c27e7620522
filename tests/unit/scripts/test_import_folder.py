"""What the import program sends, remembers and shows."""

import io
import json
import os

import pytest

from scripts.import_folder.container import Waiting
from scripts.import_folder.folder import LocalFile, Verdict, files_of
from scripts.import_folder.journal import Journal
from scripts.import_folder.progress import Progress
from scripts.import_folder.stow import _failures
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
    found = [(one.name, wanted) for one, wanted in files_of(folder)]
    assert found == [
        ("1", True),
        ("DICOMDIR", False),
        ("empty", False),
        ("notes.txt", False),
        ("b/2.dcm", True),
    ]
    assert all(wanted for _, wanted in files_of(folder, everything=True))


def one_of(folder, name="1"):
    return next(one for one, _ in files_of(folder) if one.name == name)


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
    monkeypatch.setattr("scripts.import_folder.container._LOOK_SECONDS", 0)
    sender, settled = Sender(), {}
    waiting = Waiting(sender, lambda one, verdict: settled.__setitem__(one.name, verdict))
    for name in ("pending", "gone", "bad"):
        waiting.add(local(name, tmp_path))
    sender.containers = ({"pending"}, {"bad": "why"})

    assert await waiting.step(0)

    assert settled == {"gone": Verdict("stored"), "bad": Verdict("refused", "why")}
    assert len(waiting) == 1
    assert not await waiting.step(0)
