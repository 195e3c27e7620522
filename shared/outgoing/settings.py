"""dicomcast §5.4, §5.5 Settings of another server, and of the sign-in there. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from shared.errors import Misconfigured
from shared.sections import Sections

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_TYPES = (
    "ManagedIdentity",
    "OAuth2ClientCredential",
    "OAuth2ClientCertificateCredential",
    "OAuth2UserPasswordCredential",
    "SmartBackendServices",
    "StaticToken",
    "None",
)


@dataclass(frozen=True, slots=True)
class Anonymous:
    """No sign-in."""


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A token as it is."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ManagedIdentity:
    """The identity of the deployment."""

    scope: str
    """The scope of the token: `{resource}/.default` where nothing else is said."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token of an OAuth 2.0 token endpoint (RFC 6749)."""

    token_uri: str
    client_id: str
    scope: str
    resource: str
    """Parameter `resource` of the request; empty: none is sent."""
    secret: str = field(default="", repr=False)
    """Client secret (RFC 6749 §4.4)."""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    """Of a user (RFC 6749 §4.3); empty: the client signs in for itself."""
    private_key: str = field(default="", repr=False)
    """PEM of a key, or of a certificate and its key, or base64 of a PKCS #12 file: client assertion (RFC 7523)."""
    key_id: str = ""
    """`kid` of the assertion; empty: the thumbprint of the certificate."""


type Authentication = Anonymous | StaticToken | ManagedIdentity | TokenRequest


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """One server."""

    name: str
    """The name for people, such as `FHIR`."""
    endpoint: str
    """Without a slash at the end."""
    authentication: Authentication
    timeout_seconds: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Header fields that every request carries."""


def server_settings(name: str, section: Sections, *, endpoint_key: str = "Endpoint") -> ServerSettings:
    """The settings of a server, from its section. Raises Misconfigured."""
    endpoint = _address(section, endpoint_key)
    authentication = _authentication(section.below("Authentication"), endpoint)
    settings = ServerSettings(
        name,
        endpoint,
        authentication,
        float(section.whole("TimeoutSeconds", 30, low=1, high=600)),
        section.text_map("Headers"),
    )
    secret = not isinstance(authentication, Anonymous) or settings.headers
    if secret and not _is_safe(endpoint):
        raise Misconfigured(f"The address of the {name} server must begin with https://: tokens are sent there")
    return settings


def _address(section: Sections, key: str) -> str:
    endpoint = section.required(key).rstrip("/")
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and not (parts.query or parts.fragment or parts.username)
    except ValueError:
        usable = False
    if not usable:
        section.choice(key, ("an http or https address without query",), "")
    return endpoint


def _is_safe(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" or parts.hostname in _LOCAL_HOSTS


def _authentication(section: Sections, endpoint: str) -> Authentication:
    kind = section.choice("AuthenticationType", _TYPES, "")
    if not section.flag("Enabled", default=bool(kind)):
        if not section.text("Enabled"):
            section.required("Enabled")  # nobody is anonymous by forgetting to say who they are
        return Anonymous()
    if kind == "None":
        return Anonymous()
    if not kind:
        section.required("AuthenticationType")
    if kind == "StaticToken":
        return StaticToken(section.below("StaticToken").required("Token"))
    block = section.below("ManagedIdentityCredential" if kind == "ManagedIdentity" else kind)
    resource = block.text("Resource")
    scope = block.text("Scope") or f"{(resource or endpoint).rstrip('/')}/.default"
    if kind == "ManagedIdentity":
        return ManagedIdentity(scope)
    request = TokenRequest(
        block.required("TokenUri"),
        block.required("ClientId"),
        scope,
        "" if block.text("Scope") or "/oauth2/v2.0/" in block.text("TokenUri") else resource,
        secret=block.text("ClientSecret"),
        username=block.required("Username") if kind == "OAuth2UserPasswordCredential" else "",
        password=block.required("Password") if kind == "OAuth2UserPasswordCredential" else "",
        private_key=_key(block, kind),
        key_id=block.text("KeyId"),
    )
    if kind == "OAuth2ClientCredential":
        block.required("ClientSecret")
    if not _is_safe(request.token_uri):
        raise Misconfigured(f"The token endpoint of {kind} must begin with https://: secrets are sent there")
    return request


def _key(block: Sections, kind: str) -> str:
    if kind == "OAuth2ClientCertificateCredential":
        return block.required("Certificate")
    return block.required("PrivateKey") if kind == "SmartBackendServices" else ""
