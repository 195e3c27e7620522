"""Arguments of the command lines."""

import argparse
from pathlib import Path

import pytest

from devhost import arguments


@pytest.mark.parametrize("text", ["0", "1", "7071", "65535"])
def test_a_port_is_a_number(text: str) -> None:
    assert arguments.port(text) == int(text)


@pytest.mark.parametrize("text", ["", "abc", "-1", "65536", "99999", "7071 ", "٧٠٧١", "1e3", "0x10"])
def test_what_is_no_port_is_refused_by_the_name_of_its_setting(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"^PORT={text} is no number from 0 to 65535$"):
        arguments.port(text)


def test_the_emulator_needs_three_ports_in_a_row() -> None:
    assert arguments.azurite_port("65533") == 65_533
    with pytest.raises(argparse.ArgumentTypeError, match="AZURITE_PORT=65534"):
        arguments.azurite_port("65534")


@pytest.mark.parametrize("text", ["0", "many", "65"])
def test_there_is_at_least_one_worker_and_no_crowd(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="WORKERS="):
        arguments.workers(text)


def test_the_home_directory_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert arguments.folder("~/my data") == tmp_path / "my data"
    assert arguments.folder("a/../b") == Path.cwd() / "b"


@pytest.mark.parametrize("text", ["", "~nobody-of-that-name/x", "a\0b"])
def test_what_names_no_folder_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        arguments.folder(text)


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    parser = arguments.Parser(prog="p")
    parser.add_argument("--port", type=arguments.port)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--port", "abc"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "p: argument --port: PORT=abc is no number from 0 to 65535 (--help lists the options)\n"
    )


@pytest.mark.parametrize(
    ("address", "alone"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.0.2.1", False),
        ("localhost.example.org", False),
    ],
)
def test_only_loopback_addresses_are_reached_from_this_machine_alone(address: str, alone: bool) -> None:
    assert arguments.is_loopback(address) is alone
