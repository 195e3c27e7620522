"""The files of the pages over HTTP (VIEW-1, VIEW-10; RFC 9110 §8.8.3, §13.1.2)."""

import azure.functions as func
import orjson

from shared.dicomweb.service_resources import PAGES
from shared.dicomweb.versions import ApiVersion
from shared.errors import NotFound
from shared.http.azure_functions import mount
from shared.http.boundary import Boundary
from shared.http.compression import accepts_gzip
from shared.http.messages import Request, Response
from shared.http.transaction import Context, Transaction
from shared.pages.configuration import configuration, content_security_policy
from shared.pages.static_files import static_files
from shared.settings import Settings

_UNKNOWN = "The pages have no such file."
_START = "/ui/"


def blueprint(boundary: Boundary, settings: Settings) -> func.Blueprint:
    """The function of all files. Raises Misconfigured."""
    files = static_files(orjson.dumps(configuration(settings)))
    policy = ("Content-Security-Policy", content_security_policy(settings))
    referrer = ("Referrer-Policy", "no-referrer")

    async def answer(name: str | None, gzip: bool, context: Context) -> Response:
        if name is None:
            return Response(302, (("Location", "ui/"), policy, ("Vary", "Accept")))
        file = files.get(name)
        if file is None:
            raise NotFound(_UNKNOWN, remedy=f"Open {_START}.")
        tag = f"W/{file.tag}" if gzip else file.tag
        common = (("ETag", tag), ("Cache-Control", file.cache_control), ("Vary", "Accept-Encoding"), policy, referrer)
        if context.if_none_match.has(tag):
            return Response(304, common)
        coding = (("Content-Encoding", "gzip"),) if gzip else ()
        body = file.compressed if gzip else file.content
        return Response(200, (("Content-Type", file.media_type), *coding, *common), body)

    functions = func.Blueprint()
    mount(functions, boundary, PAGES.name, Transaction(_name, _gzip, answer))
    return functions


def _name(request: Request, _version: ApiVersion) -> str | None:
    """The path of a file behind `/ui/`. None: what leads to the pages, `/` or `/ui`."""
    return request.route.get("file", "") if request.path.lower().startswith(_START) else None


def _gzip(request: Request, _version: ApiVersion) -> bool:
    return accepts_gzip(request.headers.all("accept-encoding"))
