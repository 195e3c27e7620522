"""`dicom get` when a connection or a file fails (CLI-5, CLI-8)."""

from contextlib import contextmanager

import pytest

from dicom_cli import service as dicom_service
from dicom_cli.main import main
from dicom_cli.outcomes import ExitCode

INSTANCE = "1.2/1.2.3/1.2.3.4"
WHOLE = b"abcdefgh"


class Response:
    """The answer to a request from some byte on, which ends with a reset connection where `sent` ends."""

    def __init__(self, start, sent):
        self.status = 206 if start else 200
        self.headers = {"ETag": '"1"'}
        self.length = None
        self._pieces = [WHOLE[start:sent]]
        self._is_whole = sent == len(WHOLE)

    def read(self, _size):
        if self._pieces:
            return self._pieces.pop()
        if self._is_whole:
            return b""
        raise ConnectionResetError


class FakeService:
    """Sends a file of eight bytes; the first answer is cut off after three."""

    def __init__(self):
        self.starts = []

    @staticmethod
    def path(rest):
        return f"/v2/{rest}"

    @contextmanager
    def stream(self, _path, *, headers):
        start = int(headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.starts.append(start)
        yield Response(start, len(WHOLE) if len(self.starts) > 1 else 3)


@pytest.fixture
def service(monkeypatch):
    """The service that the command finds."""
    fake = FakeService()
    monkeypatch.setattr(dicom_service, "Service", lambda _configuration: fake)
    return fake


@pytest.mark.spec("CLI-5", "CLI-8")
def test_a_file_that_was_cut_off_is_not_there_and_goes_on_where_it_ended(service, tmp_path, capsys):
    target = tmp_path / "one.dcm"

    assert main(["get", INSTANCE, "-o", str(target)]) == ExitCode.NOT_REACHABLE
    assert "run it again to go on" in capsys.readouterr().err
    assert not target.exists()

    assert main(["get", INSTANCE, "-o", str(target)]) == ExitCode.DONE
    assert target.read_bytes() == WHOLE
    assert service.starts == [0, 3]


@pytest.mark.spec("CLI-5")
@pytest.mark.usefixtures("service")
def test_a_file_that_cannot_be_written_is_told_in_a_sentence(tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"")

    assert main(["get", INSTANCE, "-o", str(tmp_path / "file" / "one.dcm")]) == ExitCode.SOME_FAILED
    assert "cannot be read or written" in capsys.readouterr().err
