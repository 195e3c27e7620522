"""How another server is reached."""

import pytest

from shared.errors import Misconfigured
from shared.outgoing.settings import Anonymous, ManagedIdentity, StaticToken, TokenRequest, server_settings
from shared.sections import Sections

TOKEN_URI = "https://login.test/tenant/oauth2/token"
CLIENT = {"TokenUri": TOKEN_URI, "ClientId": "me"}


def read(authentication: dict[str, str], endpoint: str = "https://fhir.test/r4/", **more: str):
    values = {"Fhir__Endpoint": endpoint, **more}
    values |= {f"Fhir__Authentication__{key}": value for key, value in authentication.items()}
    return server_settings("FHIR", Sections.of(values).below("Fhir"))


def block(kind: str, **values: str) -> dict[str, str]:
    return {"AuthenticationType": kind, **{f"{kind}__{key}": value for key, value in values.items()}}


def test_nobody_is_anonymous_by_forgetting() -> None:
    with pytest.raises(Misconfigured, match="Fhir:Authentication:Enabled"):
        read({})
    assert read({"Enabled": "false"}).authentication == Anonymous()
    assert read({"AuthenticationType": "None"}).authentication == Anonymous()
    with pytest.raises(Misconfigured, match="AuthenticationType"):
        read({"Enabled": "true"})


def test_the_managed_identity_asks_for_the_server_unless_told_otherwise() -> None:
    plain = read({"Enabled": "true", "AuthenticationType": "ManagedIdentity"}).authentication
    assert plain == ManagedIdentity("https://fhir.test/r4/.default")
    named = {"AuthenticationType": "ManagedIdentity", "ManagedIdentityCredential__Resource": "https://other.test/"}
    assert read(named).authentication == ManagedIdentity("https://other.test/.default")
    scoped = {"AuthenticationType": "ManagedIdentity", "ManagedIdentityCredential__Scope": "api://x/y"}
    assert read(scoped).authentication == ManagedIdentity("api://x/y")


def test_each_type_has_its_block() -> None:
    secret = read(block("OAuth2ClientCredential", **CLIENT, ClientSecret="s", Resource="https://r.test")).authentication
    assert isinstance(secret, TokenRequest)
    assert (secret.secret, secret.resource, "s" in repr(secret).split("secret")) == ("s", "https://r.test", False)
    user = read(block("OAuth2UserPasswordCredential", **CLIENT, Username="u", Password="p")).authentication
    assert isinstance(user, TokenRequest)
    assert (user.username, user.password) == ("u", "p")
    certificate = read(block("OAuth2ClientCertificateCredential", **CLIENT, Certificate="pem")).authentication
    assert isinstance(certificate, TokenRequest)
    assert certificate.private_key == "pem"
    smart = read(block("SmartBackendServices", **CLIENT, PrivateKey="pem", Scope="system/*.rs")).authentication
    assert isinstance(smart, TokenRequest)
    assert (smart.scope, smart.resource) == ("system/*.rs", "")
    assert read(block("StaticToken", Token="t")).authentication == StaticToken("t")


@pytest.mark.parametrize(
    "missing",
    [
        block("OAuth2ClientCredential", **CLIENT),
        block("OAuth2ClientCredential", ClientId="me", ClientSecret="s"),
        block("OAuth2ClientCertificateCredential", **CLIENT),
        block("SmartBackendServices", **CLIENT),
        block("OAuth2UserPasswordCredential", **CLIENT, Username="u"),
        block("StaticToken"),
        block("OAuth2ClientCredential", TokenUri="http://login.test", ClientId="me", ClientSecret="s"),
        {"AuthenticationType": "Magic"},
    ],
)
def test_what_is_missing_or_unsafe_keeps_the_service_from_starting(missing: dict[str, str]) -> None:
    with pytest.raises(Misconfigured):
        read(missing)


@pytest.mark.parametrize(
    "endpoint", ["", "fhir.test", "ftp://fhir.test", "https://u:p@fhir.test", "https://fhir.test?x=1"]
)
def test_an_address_is_one_of_http(endpoint: str) -> None:
    with pytest.raises(Misconfigured, match="Fhir:Endpoint"):
        read({"Enabled": "false"}, endpoint)


def test_tokens_go_over_https_or_stay_on_the_machine() -> None:
    with pytest.raises(Misconfigured, match="https"):
        read(block("StaticToken", Token="t"), "http://fhir.test")
    assert read(block("StaticToken", Token="t"), "http://localhost:8080").endpoint == "http://localhost:8080"
    assert read({"Enabled": "false"}, "http://fhir.test").endpoint == "http://fhir.test"


def test_time_and_header_fields_are_settings() -> None:
    settings = read({"Enabled": "false"}, Fhir__TimeoutSeconds="7", Fhir__Headers='{"X-A": "1"}')
    assert (settings.timeout_seconds, settings.headers) == (7.0, {"X-A": "1"})
