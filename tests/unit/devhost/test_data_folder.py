"""The lock and the service file of a data folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from devhost.data_folder import (
    LOCK_FILE,
    DataFolder,
    ServiceFile,
    holder_of,
    process_exists,
    running_service_of,
)
from devhost.settings import Unusable


def _ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_folder_is_held_until_it_is_given_back(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    assert holder_of(folder) is None
    assert not folder.exists(), "to ask creates nothing"

    with DataFolder.take(folder, port=7071, azurite_port=10000):
        holder = holder_of(folder)
        assert holder is not None
        assert (holder.pid, holder.port, holder.azurite_port) == (os.getpid(), 7071, 10000)
        with pytest.raises(Unusable, match=rf"in use by the service on port 7071 \(process {os.getpid()}\).*DATA_DIR="):
            DataFolder.take(folder, port=7072, azurite_port=10010)

    assert holder_of(folder) is None
    with DataFolder.take(folder, port=7072, azurite_port=10010):
        assert json.loads((folder / LOCK_FILE).read_bytes())["port"] == 7072


def test_a_holder_that_says_nothing_holds_the_folder_all_the_same(tmp_path: Path) -> None:
    with DataFolder.take(tmp_path, port=7071, azurite_port=10000):
        (tmp_path / LOCK_FILE).write_text("not JSON")
        with pytest.raises(Unusable, match="another service"):
            DataFolder.take(tmp_path, port=7072, azurite_port=10010)


def test_a_child_that_inherits_the_lock_keeps_the_folder_held(tmp_path: Path) -> None:
    folder = DataFolder.take(tmp_path, port=1, azurite_port=2)
    with folder:
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            pass_fds=(folder.descriptor,),
        )
    assert holder_of(tmp_path) is not None
    child.communicate()
    assert holder_of(tmp_path) is None


def test_a_folder_that_cannot_be_made_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unusable, match=rf"{tmp_path}/file/data cannot be written \(Not a directory\): DATA_DIR="):
        DataFolder.take(tmp_path / "file" / "data", port=1, azurite_port=2)


def test_a_service_file_is_there_while_the_service_is(tmp_path: Path) -> None:
    path = tmp_path / "service.json"
    assert running_service_of(path) is None
    with ServiceFile(path) as file:
        file.write(port=7071, azurite_port=10000, url="http://127.0.0.1:7071")
        assert running_service_of(path) == {
            "pid": os.getpid(),
            "port": 7071,
            "azuritePort": 10000,
            "url": "http://127.0.0.1:7071",
        }
    assert list(tmp_path.iterdir()) == []


def test_the_service_file_of_a_successor_stays(tmp_path: Path) -> None:
    path = tmp_path / "service.json"
    with ServiceFile(path) as file:
        file.write(port=7071, azurite_port=10000, url="http://127.0.0.1:7071")
        path.write_text('{"pid": 1}')
    assert path.exists()


def test_the_service_file_of_a_process_that_was_killed_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "service.json"
    path.write_text(json.dumps({"pid": _ended_process(), "port": 7071}))
    assert running_service_of(path) is None


def test_a_process_exists_until_it_has_ended() -> None:
    assert process_exists(os.getpid())
    assert not process_exists(_ended_process())
