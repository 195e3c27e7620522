"""How the command reaches a service: by which proxy, with which certificates, with which token (CLI-7)."""

import ssl

import pytest

from dicom_cli.configuration import Configuration, Value
from dicom_cli.connection import opened, proxy_of, tls_failure
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.sign_in import Tokens

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def environment(monkeypatch):
    """Without proxies, until a test names some."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


def tokens(token="", command=""):
    values = {"partition": "", "scope": "", "token_command": command, "url": "http://x"}
    return Tokens(Configuration({name: Value(text, "") for name, text in values.items()}, token))


@pytest.mark.spec("CLI-7")
@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://dicom.example.org", "http://user:p%40ss@proxy.example:3128"),
        ("http://dicom.example.org", "http://plain.example:8080"),
        ("https://near.example", None),
        ("http://localhost:7071", None),
        ("http://127.0.0.1:7071", None),
        ("http://[::1]:7071", None),
    ],
)
def test_the_proxy_is_that_of_the_environment_and_this_machine_has_none(environment, url, proxy):
    environment.setenv("HTTPS_PROXY", "http://user:p%40ss@proxy.example:3128")
    environment.setenv("HTTP_PROXY", "plain.example:8080")
    environment.setenv("NO_PROXY", "near.example")

    assert proxy_of(url) == proxy


@pytest.mark.spec("CLI-7")
def test_a_request_goes_to_the_proxy_with_the_name_of_who_asks_it(environment):
    environment.setenv("HTTP_PROXY", "http://user:p%40ss@proxy.example:3128")

    way = opened("http://dicom.example.org:81/base", 1.0)

    assert (way.connection.host, way.connection.port) == ("proxy.example", 3128)
    assert way.origin == "http://dicom.example.org:81"
    assert way.fields == {"Proxy-Authorization": "Basic dXNlcjpwQHNz"}


@pytest.mark.spec("CLI-5")
@pytest.mark.parametrize(
    "url", ["localhost:7071", "ftp://x", "http://", "http://host:port", "http://host:99999", "x", "", "http://[::1"]
)
def test_what_is_no_address_is_wrong_use(environment, url):
    with pytest.raises(CommandFailed) as failed:
        opened(url, 1.0)

    assert failed.value.code is ExitCode.WRONG_USE


@pytest.mark.spec("CLI-5", "CLI-7")
def test_a_certificate_that_is_not_trusted_is_told_with_the_remedy():
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"

    failure = tls_failure("https://dicom.example.org", error)

    assert failure.code is ExitCode.NOT_REACHABLE
    assert "self-signed certificate" in str(failure)
    assert "SSL_CERT_FILE" in str(failure)


@pytest.mark.spec("CLI-7")
def test_a_token_is_one_word_and_is_not_repeated_where_it_is_not():
    assert tokens(" eyJ.abc.def\r\n").current() == "eyJ.abc.def"
    assert tokens(command="printf 'eyJ.x\\n'").current() == "eyJ.x"
    for text in ("WARNING: eyJ", "eyJ\nsecret", "eyJ\x00secret", "geheimnißvoll"):
        with pytest.raises(CommandFailed) as failed:
            tokens(text).current()
        assert failed.value.code is ExitCode.NOT_ALLOWED
        assert "eyJ" not in str(failed.value)
        assert "geheim" not in str(failed.value)
