"""A plain HTTP client of the service, which shares no code with it."""

from dataclasses import dataclass

import requests

from tests.builders.errors import said
from tests.builders.images import Image, multipart

type Reply = requests.Response

DICOM = "application/dicom"
OCTETS = "application/octet-stream"
JSON = "application/dicom+json"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart reply."""

    headers: dict[str, str]
    body: bytes


def refusal(reply: Reply) -> str:
    """The message of an error, which has the shape of all errors."""
    headers = {name.lower(): value for name, value in reply.headers.items()}
    return said(reply.status_code, headers, reply.content)["what"]


class Exchange:
    """Requests to one version of one service."""

    def __init__(self, url: str, version: str = "v2", headers: dict[str, str] | None = None) -> None:
        self.base = f"{url.rstrip('/')}/{version}"
        self._session = requests.Session()
        self._session.headers.update(headers or {})

    def send(
        self, method: str, path: str, accept: str | None = "*/*", body: bytes | None = None, **headers: str
    ) -> Reply:
        """One request; `accept=None` sends no Accept field at all. `_` in the name of a header stands for `-`."""
        fields = {"Accept": accept, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self._session.request(method, f"{self.base}/{path}", data=body, headers=fields, timeout=60)

    def get(self, path: str, accept: str | None = "*/*", **headers: str) -> Reply:
        """A GET."""
        return self.send("GET", path, accept, **headers)

    def store(self, *images: Image, method: str = "POST") -> Reply:
        """Store; fails the test if the service does not take all of them without a complaint."""
        body, content_type = multipart([image.data for image in images])
        fields = {"Content-Type": content_type, "Accept": "application/dicom+json"}
        reply = self._session.request(method, f"{self.base}/studies", data=body, headers=fields, timeout=60)
        assert reply.status_code in {200, 202}, reply.text
        assert "00081198" not in reply.json(), reply.text
        return reply


def parts(reply: Reply) -> list[Part]:
    """The parts of a multipart reply, read by the letter of WADO-22."""
    media_type, *parameters = [field.strip() for field in reply.headers["Content-Type"].split(";")]
    assert media_type == "multipart/related"
    boundary = dict(parameter.split("=", 1) for parameter in parameters)["boundary"].strip('"').encode()
    body = reply.content
    assert body.startswith(b"--" + boundary + b"\r\n")
    assert body.endswith(b"\r\n--" + boundary + b"--\r\n")
    inner = b"\r\n" + body.removesuffix(b"\r\n--" + boundary + b"--\r\n")
    found = []
    for piece in inner.split(b"\r\n--" + boundary + b"\r\n")[1:]:
        head, _, content = piece.partition(b"\r\n\r\n")
        fields = (line.split(": ", 1) for line in head.decode().split("\r\n"))
        found.append(Part({name.lower(): value for name, value in fields}, content))
    return found


def multipart_type(reply: Reply) -> str:
    """The `type` parameter of a multipart reply."""
    _, _, rest = reply.headers["Content-Type"].partition('type="')
    return rest.partition('"')[0]


def several(media_type: str, syntax: str | None = None) -> str:
    """An Accept value for multipart/related."""
    return f'multipart/related; type="{media_type}"' + (f"; transfer-syntax={syntax}" if syntax else "")


def syntax_of(content_type: str) -> str:
    """The transfer syntax that a Content-Type names."""
    return content_type.partition("transfer-syntax=")[2]
