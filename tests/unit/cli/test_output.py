"""What the command prints, to people and to other programs (CLI-4)."""

import io
import json
import os
import subprocess
import sys

import pytest

from dicom_cli.completion import script
from dicom_cli.main import COMMANDS, PROGRAMS
from dicom_cli.output import Output
from tests.conftest import ROOT

HOSTILE = "Doe^\x1b]0;owned\x07\x1b[2J\u202eJane\u2066\nsecond line"
PRINTS = r"""
from dicom_cli.output import Output
Output(as_json={json}, quiet=False).item({{'name': '\u738b \U0001f600 \ud800'}}, '\u738b')
"""
TABLE = """
from dicom_cli import main
main._run = lambda words: [print('x' * 100) for _ in range(9999)] and 0
raise SystemExit(main.main(['search']))
"""


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "cli"), str(ROOT))), **environment},
        capture_output=True,
        check=False,
    )


@pytest.mark.spec("CLI-4")
def test_a_value_moves_no_cursor_of_a_terminal_and_turns_no_line(capsys):
    Output(as_json=False, quiet=False).table([{"PatientName": HOSTILE, "Labels": [HOSTILE]}], ("PatientName", "Labels"))

    text = capsys.readouterr().out

    assert [each for each in text if not each.isprintable()] == ["\n", "\n"]
    assert "Jane" in text


@pytest.mark.spec("CLI-4")
def test_an_object_is_one_line_whatever_it_holds(capsys):
    Output(as_json=True, quiet=False).item({"PatientName": HOSTILE})

    [line] = capsys.readouterr().out.rstrip("\n").split("\n")

    assert json.loads(line) == {"PatientName": HOSTILE}


@pytest.mark.spec("CLI-4", "CLI-9")
def test_names_of_any_script_are_printed_whatever_the_console_knows():
    shown = python(PRINTS.format(json=False), PYTHONIOENCODING="cp1252")
    assert (shown.returncode, shown.stdout.strip()) == (0, b"\\u738b")

    told = python(PRINTS.format(json=True), PYTHONIOENCODING="cp1252")
    assert told.returncode == 0
    assert json.loads(told.stdout.decode("utf-8"))["name"].startswith("王 \U0001f600 ")


@pytest.mark.spec("CLI-4", "CLI-5")
def test_whoever_reads_may_stop_reading():
    """As `dicom search --all | head -1` does."""
    with subprocess.Popen(
        [sys.executable, "-c", TABLE],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "cli"), str(ROOT)))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdout.readline()
        command.stdout.close()
        said = command.stderr.read()

    assert (command.returncode, said) == (0, b"")


@pytest.mark.spec("CLI-1")
def test_a_shell_completes_commands_actions_options_and_files():
    def completed(*words):
        line = " ".join(f"'{each}'" for each in words)
        code = f"""{script("bash")}
            COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _dicom; printf '%s\\n' "${{COMPREPLY[@]}}"
            complete -p dicom"""
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
        *found, way = done.stdout.splitlines()
        assert "-o default" in way  # where nothing fits, files do
        return set(found) - {""}

    assert completed("dicom", "") == {*COMMANDS, *PROGRAMS, "config", "completion"}
    assert completed("dicom", "mig") == {"migrate"}
    assert {"list", "add", "remove", "errors"} <= completed("dicom", "tags", "")
    assert completed("dicom", "migrate", "--follow") == {"--follow"}
    assert {"--json", "--url", "--zip", "--dry-run"} <= completed("dicom", "import", "--")
    assert completed("dicom", "import", "ima") == set()
    assert {"--json", "--partition", "--force"} <= completed("dicom", "get", "1.2.3", "-")


@pytest.mark.spec("CLI-2", "CLI-9")
def test_identifiers_are_read_from_standard_input_on_every_system(monkeypatch):
    from dicom_cli.export import _read

    lines = '1.2.3\n\n{"0020000D":{"vr":"UI","Value":["1.2.4"]}}\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))

    assert _read("-") == ["1.2.3", "1.2.4"]
