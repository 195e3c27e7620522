"""Where an import goes, and as whom: as every command (CLI-6)."""

import pytest

from dicom_cli.importing import place
from dicom_cli.importing.folder import Fatal
from dicom_cli.importing.options import parser
from dicom_cli.importing.token import Token
from dicom_cli.outcomes import CommandFailed, ExitCode


@pytest.fixture
def environment(monkeypatch, tmp_path):
    for name in ("DICOM_URL", "DICOM_PARTITION", "DICOM_SCOPE", "DICOM_TOKEN", "DICOM_TOKEN_COMMAND", "DICOM_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DICOM_CONFIG", str(tmp_path / "config.toml"))
    return monkeypatch


def settled(*words):
    arguments = parser().parse_args(["folder", *words])
    return arguments, place.settle(arguments)


@pytest.mark.spec("CLI-6")
@pytest.mark.parametrize(
    ("words", "variable", "url"),
    [
        (["--url", "http://host:81/dicom-web"], "", "http://host:81/dicom-web"),
        (["--url", "http://host:81"], "http://other", "http://host:81/v2"),
        (["--url", "http://host:81/"], "", "http://host:81/v2"),
        ([], "http://host/base", "http://host/base/v2"),
        ([], "http://host/v1", "http://host/v2"),
        (["--account", "importaccount"], "http://host", ""),
        (["--connection", "x=y"], "http://host", ""),
        ([], "", ""),
    ],
)
def test_an_address_is_that_of_the_option_then_of_the_environment(environment, words, variable, url):
    if variable:
        environment.setenv("DICOM_URL", variable)

    assert settled(*words)[0].url == url


@pytest.mark.spec("CLI-6")
def test_without_a_checkout_the_usual_address_is_asked(environment):
    environment.setattr(place, "checkout", lambda: None)

    assert settled()[0].url == "http://localhost:7071/v2"


@pytest.mark.spec("CLI-6", "CLI-7")
async def test_partition_and_token_are_those_of_every_command(environment):
    environment.setenv("DICOM_PARTITION", "ward")
    environment.setenv("DICOM_TOKEN", "eyJ.one")
    arguments, tokens = settled()

    assert arguments.partition == "ward"
    assert await Token("", tokens).headers() == {"Authorization": "Bearer eyJ.one"}
    assert await Token("eyJ.option", tokens).headers() == {"Authorization": "Bearer eyJ.option"}
    assert await Token().headers() == {}


@pytest.mark.spec("CLI-5", "CLI-7")
def test_a_service_that_cannot_be_reached_ends_it_before_the_first_file(environment):
    asked = []

    class Unreachable:
        def __init__(self, _configuration, tokens):
            self.url = ""

        def ask(self, _method, path, **_):
            asked.append(path)
            raise CommandFailed("not trusted", ExitCode.NOT_REACHABLE)

    environment.setattr(place, "Service", Unreachable)

    with pytest.raises(Fatal, match="not trusted") as ended:
        settled("--url", "https://host")
    assert ended.value.code is ExitCode.NOT_REACHABLE
    assert asked == ["https://host/v2/studies"]
