"""The files of the pages and of the viewer over HTTP (VIEW-1, VIEW-4, VIEW-10; RFC 9110 §8.8.3, §13.1.2)."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
from shared.pages.configuration import configuration, content_security_policy, viewer_policy
from shared.pages.static_files import FOR_GOOD, VIEWER_PLACE, StaticFile, static_files
from shared.pages.viewer_release import FOLDER, ViewerRelease, media_type
from shared.settings import Settings

_UNKNOWN: Final = "The pages have no such file."
_NO_VIEWER: Final = "There is no viewer at this service."
_START: Final = "/ui/"
_VIEWER: Final = "/viewer"
_APP: Final = Path(__file__).parents[2]
_VIEW: Final = re.compile(r"viewer/[A-Za-z0-9-]*")
"""The part of an address that the viewer itself makes: a way of showing a study, such as `viewer` or `microscopy`."""
_REFERRER: Final = ("Referrer-Policy", "no-referrer")


@dataclass(frozen=True, slots=True)
class Asked:
    """The request of a browser."""

    name: str = ""
    """The path of a file behind `/ui/`."""
    elsewhere: str | None = None
    """Where it is led instead, from `/`, `/ui` or `/viewer`."""
    viewer: bool = False


def blueprint(boundary: Boundary, settings: Settings) -> func.Blueprint:
    """The function of all files. Raises Misconfigured."""
    functions = func.Blueprint()
    mount(functions, boundary, PAGES.name, Transaction(_asked, _gzip, Files(settings).answer))
    return functions


class Files:
    """The files of the pages, and those of a viewer where one is there."""

    def __init__(self, settings: Settings) -> None:
        self._viewer = ViewerRelease.read(_APP / (settings.viewer_folder or FOLDER)) if settings.viewer else None
        version = self._viewer.version if self._viewer else None
        self._files = static_files(orjson.dumps(configuration(settings, version)), self._viewer)
        self._policy = ("Content-Security-Policy", content_security_policy(settings))
        self._viewer_policy = ("Content-Security-Policy", viewer_policy(settings))

    async def answer(self, asked: Asked, gzip: bool, context: Context) -> Response:
        """A file, the way to one, or 304. Raises NotFound."""
        if asked.viewer and self._viewer is None:
            raise NotFound(_NO_VIEWER, remedy="docs/operate/ohif.md says how one is added.")
        if asked.elsewhere is not None:
            return Response(302, (("Location", asked.elsewhere), self._policy, ("Vary", "Accept")))
        name = VIEWER_PLACE if _VIEW.fullmatch(asked.name) else asked.name
        if file := self._files.get(name):
            return self._page_file(file, name, gzip, context)
        release, _, inner = name.removeprefix(VIEWER_PLACE).partition("/")
        if asked.viewer and self._viewer and release == self._viewer.digest and inner in self._viewer.tags:
            return await self._viewer_file(self._viewer, inner, gzip, context)
        raise NotFound(_UNKNOWN, remedy=f"Open {_START}.")

    def _page_file(self, file: StaticFile, name: str, gzip: bool, context: Context) -> Response:
        tag = f"W/{file.tag}" if gzip else file.tag
        policy = self._viewer_policy if name == VIEWER_PLACE else self._policy
        common = _common(tag, file.cache_control, policy)
        if context.if_none_match.has(tag):
            return Response(304, common)
        body = file.compressed if gzip else file.content
        return Response(200, (("Content-Type", file.media_type), *_coding(gzip), *common), body)

    async def _viewer_file(self, viewer: ViewerRelease, name: str, gzip: bool, context: Context) -> Response:
        strong = f'"{viewer.tags[name]}"'
        tag = f"W/{strong}" if gzip else strong
        # A worker has the policy of its own script, and what it starts has that one's.
        common = _common(tag, FOR_GOOD, self._viewer_policy)
        if context.if_none_match.has(tag):
            return Response(304, common)
        body = await asyncio.to_thread(viewer.content, name, packed=gzip)
        return Response(200, (("Content-Type", media_type(name)), *_coding(gzip), *common), body)


def _common(tag: str, cache_control: str, policy: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("ETag", tag), ("Cache-Control", cache_control), ("Vary", "Accept-Encoding"), policy, _REFERRER)


def _coding(gzip: bool) -> tuple[tuple[str, str], ...]:
    return (("Content-Encoding", "gzip"),) if gzip else ()


def _asked(request: Request, _version: ApiVersion) -> Asked:
    path = request.path.lower()
    behind = f"?{request.query}" if request.query else ""
    if path.startswith(_START):
        # The host leaves a slash at the end out of the value of a route.
        name = request.route.get("file", "").rstrip("/") + ("/" if path.endswith("/") else "")
        if name == VIEWER_PLACE.rstrip("/"):
            return Asked(elsewhere=f"{VIEWER_PLACE}{behind}", viewer=True)
        return Asked(name.removeprefix("/"), viewer=name.startswith(VIEWER_PLACE))
    if path.rstrip("/") == _VIEWER:
        up = "../" if path.endswith("/") else ""
        return Asked(elsewhere=f"{up}ui/{VIEWER_PLACE}{behind}", viewer=True)
    return Asked(elsewhere="ui/")


def _gzip(request: Request, _version: ApiVersion) -> bool:
    return accepts_gzip(request.headers.all("accept-encoding"))
