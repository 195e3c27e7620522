"""Where the command's values come from, and what a file may not hold (CLI-6)."""

from pathlib import Path

import pytest

from dicom_cli.completion import script
from dicom_cli.configuration import configured
from dicom_cli.main import COMMANDS, PROGRAMS, main, parser_for
from dicom_cli.outcomes import CommandFailed

ROOT = Path(__file__).resolve().parents[3]


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
