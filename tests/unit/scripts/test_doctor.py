"""The checks of `make doctor`."""

import argparse
import os
import stat
from pathlib import Path

import pytest

from devhost.data_folder import SERVICE_FILE, DataFolder, ServiceFile
from scripts import doctor
from scripts.doctor import Machine

TAKEN = 7071


def is_free(port: int) -> bool:
    return port != TAKEN


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "function_app.py").touch()
    return tmp_path


def program(folder: Path, name: str, output: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {output}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def failures(check, machine: Machine) -> list[str]:
    return [finding.text for finding in check(machine) if finding.state == "FAILED"]


@pytest.mark.parametrize(
    ("version", "failed"),
    [
        ("v18.0.0", []),
        ("v24.1.0", []),
        ("v16.20.2", ["Node.js 16.20.2 is too old"]),
        ("", ["Node.js (no version) is too old"]),
    ],
)
def test_the_version_of_node_is_looked_at(project, monkeypatch, version, failed):
    program(project / "bin", "node", version)
    program(project / "bin", "npm", "11.0.0")
    monkeypatch.setenv("PATH", f"{project / 'bin'}:/usr/bin:/bin")

    assert failures(doctor.check_node, Machine({}, project)) == failed


def test_what_is_not_installed_is_named_with_the_place_to_get_it(project, monkeypatch):
    monkeypatch.setenv("PATH", str(project))
    (finding,) = doctor.check_node(Machine({}, project))
    assert finding.state == "FAILED"
    assert "nodejs.org" in finding.remedy

    program(project / "bin", "node", "v20.0.0")
    monkeypatch.setenv("PATH", f"{project / 'bin'}:/bin")
    monkeypatch.setattr("scripts.doctor.shutil.which", lambda name: "/x/node" if name == "node" else None)
    assert failures(doctor.check_node, Machine({}, project)) == [
        "npm was not found; it comes with Node.js and installs Azurite"
    ]


def test_a_full_disk_is_told_in_megabytes(project):
    assert failures(doctor.check_disk, Machine({}, project)) == []
    (text,) = failures(lambda machine: doctor.check_disk(machine, 10**18), Machine({"EPHEMERAL": "1"}, project))
    assert "1000000000000 MB are needed" in text


@pytest.mark.parametrize(
    ("setting", "value"),
    [("PORT", "abc"), ("PORT", "99999"), ("AZURITE_PORT", "65534"), ("DATA_DIR", "~nobody-here/x")],
)
def test_a_setting_that_cannot_be_understood_is_a_failure(project, setting, value):
    checks = (doctor.check_ports, doctor.check_data_folder)
    found = list(doctor.findings(checks, Machine({setting: value}, project)))

    assert any(value in finding.text for finding in found if finding.state == "FAILED")


@pytest.mark.parametrize(
    ("environment", "setting"),
    [({}, " PORT="), ({"PORT": "8000", "AZURITE_PORT": "7070"}, "AZURITE_PORT=")],
)
def test_a_port_that_is_taken_is_named_with_its_setting(project, environment, setting):
    found = [
        finding for finding in doctor.check_ports(Machine(environment, project, is_free)) if finding.state == "FAILED"
    ]

    assert [finding.text for finding in found] == ["port 7071 is taken: is another `make run` up?"]
    assert found[0].remedy.endswith(setting)


@pytest.mark.parametrize("first", ["7069", "7070", "7071"])
def test_a_port_that_is_one_of_the_emulator_s_is_said_to_be(project, first):
    [found] = doctor.check_ports(Machine({"AZURITE_PORT": first}, project, lambda _: True))
    assert found.state == "FAILED"
    assert found.text.startswith("port 7071 is one of the three of Azurite (")


def test_the_ports_of_another_emulator_are_one_failure(project):
    found = [finding.text for finding in doctor.check_ports(Machine({}, project, lambda _: False))]

    assert found == [
        "port 7071 is taken: is another `make run` up?",
        "ports 10000, 10001, 10002 are taken: is another `make run` up?",
    ]


def test_free_ports_are_listed(project):
    machine = Machine({"PORT": "8000", "AZURITE_PORT": "9000"}, project, is_free)
    assert [str(finding) for finding in doctor.check_ports(machine)] == [
        "ok       ports 8000, 9000, 9001, 9002 are free"
    ]


def test_the_ports_of_the_service_of_this_data_folder_are_no_failure(project):
    with ServiceFile(project / ".data" / SERVICE_FILE) as file:
        file.write(port=TAKEN, azurite_port=10000, url="")
        found = list(doctor.check_ports(Machine({}, project, is_free)))

    assert [finding.state for finding in found] == ["ok"]
    assert str(os.getpid()) in found[0].text


def test_a_data_folder_that_is_in_use_is_named_with_its_holder(project):
    machine = Machine({"DATA_DIR": str(project / "data")}, project)
    assert failures(doctor.check_data_folder, machine) == []
    assert not (project / "data").exists()

    with DataFolder.take(project / "data", port=7071, azurite_port=10000):
        (text,) = failures(doctor.check_data_folder, machine)
        assert f"port 7071 (process {os.getpid()})" in text
        with ServiceFile(project / "data" / SERVICE_FILE) as file:
            file.write(port=7071, azurite_port=10000, url="")
            assert failures(doctor.check_data_folder, machine) == []
            (check,) = doctor.before("run", machine)[-1:]
            (text,) = failures(check, machine)
            assert "in use by the service on port 7071" in text


def test_a_data_folder_below_a_file_cannot_be_written(project):
    (project / "file").touch()
    assert failures(doctor.check_data_folder, Machine({"DATA_DIR": str(project / "file/data")}, project)) == [
        f"the data folder {project}/file/data cannot be written"
    ]


def test_the_home_directory_is_expanded(project, monkeypatch):
    monkeypatch.setenv("HOME", str(project))
    assert Machine({"DATA_DIR": "~/x"}, project).data == project / "x"


def test_a_clock_that_is_behind_is_noticed(project):
    assert failures(doctor.check_clock, Machine({}, project)) == []
    os.utime(project / "pyproject.toml", (4_000_000_000, 4_000_000_000))
    assert len(failures(doctor.check_clock, Machine({}, project))) == 1


def test_pins_are_read_without_those_for_other_systems():
    text = "a==1.0 \\\n    --hash=sha256:0\nb-c==2 \\\n    --hash=x\nd==3 ; sys_platform == 'win32' \\\n    --hash=x\n"
    assert doctor.pinned(text) == {"a": "1.0", "b-c": "2"}


def test_what_has_not_been_set_up_is_not_run(project):
    found = [*doctor.check_packages(Machine({}, project)), *doctor.check_emulator(Machine({}, project))]
    assert {finding.state for finding in found} == {"NOT RUN"}


def test_packages_that_are_not_as_pinned_are_named(project):
    (project / ".venv/bin").mkdir(parents=True)
    program(project / ".venv/bin", "python", "'a_b 1.0'")
    (project / "requirements.txt").write_text("a-b==1.0 \\\nc==2 \\\n")

    assert failures(doctor.check_packages, Machine({}, project)) == ["1 packages are not as pinned: c missing"]


def test_failures_alone_are_printed_where_only_they_matter(capsys, project):
    machine = Machine({"PORT": "abc", "DATA_DIR": str(project)}, project, is_free)

    assert doctor.main(["--failures"], machine) == 1

    printed = capsys.readouterr()
    assert printed.out == ""
    assert "PORT=abc is no number from 0 to 65535" in printed.err
    assert "ok" not in {line.split()[0] for line in printed.err.splitlines()}


def test_the_purpose_of_set_up_is_one_of_three():
    with pytest.raises((SystemExit, argparse.ArgumentError)):
        doctor.main(["--before", "nothing"])
