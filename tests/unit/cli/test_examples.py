"""Every example of the help and of the page about the command is one that the command reads (CLI-1)."""

import importlib
import re
import shlex

import pytest

from dicom_cli.main import COMMANDS, main
from dicom_cli.outcomes import ExitCode
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "use" / "command-line.md").read_text()
ENDS = {"|", "||", "&&", ">", "<", ";"}


def module_of(name):
    return importlib.import_module(f"dicom_cli.{COMMANDS[name].module}")


def words_of(text):
    """The words of the first command in a line of a shell, without its name."""
    words = shlex.split(text, comments=True)
    end = next((at for at, word in enumerate(words) if word in ENDS or word.startswith("|")), len(words))
    return words[1:end]


def examples():
    lines = [line.strip() for name in COMMANDS for line in module_of(name).EXAMPLE.splitlines()]
    lines += re.findall(r"`(dicom [^`]+)`", PAGE)
    lines += [line.strip() for line in PAGE.splitlines() if line.startswith("dicom ")]
    commands = [line.replace("$DICOM_URL", "http://127.0.0.1") for line in lines if line.startswith("dicom ")]
    return sorted({line for line in commands if (words := words_of(line)) and words[0] in COMMANDS})


@pytest.mark.spec("CLI-1")
@pytest.mark.parametrize("line", examples())
def test_an_example_is_read_as_it_stands(line, monkeypatch, tmp_path):
    monkeypatch.setenv("DICOM_CONFIG", str(tmp_path / "none.toml"))
    words = words_of(line)
    ran = []

    def run(arguments, _service, _output):
        ran.append(arguments.command)
        return ExitCode.DONE

    monkeypatch.setattr(module_of(words[0]), "run", run)

    try:
        code = main(words)
    except SystemExit as ended:  # --help
        assert "--help" in words
        code = ended.code

    assert code == ExitCode.DONE
    assert ran == [words[0]] or "--help" in words
