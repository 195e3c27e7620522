"""Where the command's values come from, and what a file may not hold (CLI-6)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dicom_cli.completion import script
from dicom_cli.configuration import configured
from dicom_cli.main import COMMANDS, PROGRAMS, main, parser_for
from dicom_cli.outcomes import CommandFailed

ROOT = Path(__file__).resolve().parents[3]
HELPS = """
import contextlib, io, json, sys
known, told = set(sys.modules), {}
from dicom_cli.main import main
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    loaded = {name.partition(".")[0] for name in set(sys.modules) - known}
    told[" ".join(words)] = sorted(loaded - sys.stdlib_module_names)
print(json.dumps(told))
"""
"""Asks for the help of one command after the other, and tells the packages that have been loaded by then."""


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in ("URL", "PARTITION", "SCOPE", "TOKEN", "TOKEN_COMMAND", "PROFILE"):
        monkeypatch.delenv(f"DICOM_{name}", raising=False)
    monkeypatch.setenv("DICOM_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "config.toml"


@pytest.mark.spec("CLI-6")
def test_options_come_before_environment_before_profile_before_default(environment, monkeypatch):
    environment.write_text('profile = "ward"\n[profiles.ward]\nurl = "https://a"\npartition = "b"\nscope = "c"\n')
    monkeypatch.setenv("DICOM_PARTITION", "d")
    found = configured({"url": "https://e/v2/"})
    assert {name: (value.text, value.source) for name, value in found.values.items()} == {
        "url": ("https://e/v2/", "--url"),
        "partition": ("d", "DICOM_PARTITION"),
        "scope": ("c", str(environment)),
        "token_command": ("", "default"),
    }
    assert found.service_url == "https://e"


@pytest.mark.spec("CLI-6")
@pytest.mark.parametrize(
    "text",
    ["profile = 'x'", "= nonsense", "profile = 'x'\n[profiles.x]\ntoken = 'abc'\n", "profile = 'x'\nprofiles = 3"],
)
def test_a_file_that_cannot_be_used_is_refused_and_its_secret_not_repeated(environment, text):
    environment.write_text(text)
    with pytest.raises(CommandFailed) as failed:
        configured({})
    assert "abc" not in str(failed.value)


@pytest.mark.spec("CLI-1")
@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_has_an_example(name, capsys):
    with pytest.raises(SystemExit) as ended:
        parser_for(name).parse_args([name, "--help"])
    assert ended.value.code == 0
    assert f"examples:\n  dicom {name}" in capsys.readouterr().out


@pytest.mark.spec("CLI-1")
@pytest.mark.parametrize("name", PROGRAMS)
def test_so_has_the_help_of_those_that_read_their_options_themselves(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"examples:\n  dicom {name}" in capsys.readouterr().out


@pytest.mark.spec("CLI-1")
def test_no_help_loads_a_library():
    names = [[], *([name] for name in (*COMMANDS, *PROGRAMS, "config", "completion"))]
    done = subprocess.run(
        [sys.executable, "-c", HELPS, json.dumps(names)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "cli", ROOT)))},
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert len(told) == len(names)
    assert {name: found for name, found in told.items() if set(found) - {"dicom_cli", "shared"}} == {}


@pytest.mark.spec("CLI-5")
@pytest.mark.parametrize("words", [["nonsense"], ["search", "--nonsense", "1"], ["get"], ["tags"]])
def test_wrong_use_is_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_every_command(shell):
    assert all(name in script(shell) for name in (*COMMANDS, *PROGRAMS))


@pytest.mark.spec("CLI-9")
def test_the_service_loads_nothing_of_the_command():
    sources = [ROOT / "function_app.py", *(ROOT / "shared").rglob("*.py")]
    assert len(sources) > 100
    assert [path for path in sources if "dicom_cli" in path.read_text(encoding="utf-8")] == []
