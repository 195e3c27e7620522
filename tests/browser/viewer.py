"""OHIF Viewer as its makers released it, served on an origin of its own and pointed at a service."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.browser.page import CACHE

_DIST = CACHE / "ohif"

RECOMMENDED = {
    "qidoSupportsIncludeField": True,
    "supportsFuzzyMatching": True,
    "supportsWildcard": True,
    "imageRendering": "wadors",
    "thumbnailRendering": "wadors",
    "enableStudyLazyLoad": True,
    "dicomUploadEnabled": True,
    "omitQuotationForMultipartRequest": True,
    "singlepart": "bulkdata,video",
    "bulkDataURI": {"enabled": True},
}
"""The configuration that docs/operate/ohif.md gives; each data source below differs from it in one thing."""

VARIANTS: dict[str, dict[str, Any]] = {
    "recommended": {},
    "quoted": {"omitQuotationForMultipartRequest": False},
    "whole": {"enableStudyLazyLoad": False},
    "rendered": {"thumbnailRendering": "rendered"},
    "thumbnail": {"thumbnailRendering": "thumbnail"},
    "direct": {"thumbnailRendering": "thumbnailDirect"},
    "transcoded": {"acceptHeader": ["multipart/related; type=image/jls; transfer-syntax=1.2.840.10008.1.2.4.80"]},
}


@dataclass
class Viewer:
    """The viewer's origin; `service` is where its data sources point."""

    origin: str = ""
    service: str = ""

    def configuration(self) -> str:
        """The script app-config.js."""
        root = f"{self.service}/v2"
        roots = {"qidoRoot": root, "wadoRoot": root, "wadoUriRoot": root}
        sources = [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": name,
                "configuration": {"friendlyName": name, "name": name, **roots, **RECOMMENDED, **changes},
            }
            for name, changes in VARIANTS.items()
        ]
        settings = {
            "routerBasename": "/",
            "extensions": [],
            "modes": [],
            "showStudyList": True,
            "showWarningMessageForCrossOrigin": False,
            "showCPUFallbackMessage": False,
            "maxNumberOfWebWorkers": 2,
            "investigationalUseDialog": {"option": "never"},
            "defaultDataSourceName": "recommended",
            "dataSources": sources,
        }
        # The guided tour of the viewer would lie over the picture.
        seen = "localStorage.setItem('shownTours', '[\"basicViewerTour\"]');"
        return f"{seen}\nwindow.config = {json.dumps(settings)};"


async def _file(request: web.Request) -> web.StreamResponse:
    """A file of the release, or the start page, which knows the paths of the viewer."""
    path = _DIST / request.match_info["path"]
    kept = {"Cache-Control": "max-age=3600"}
    return web.FileResponse(path, headers=kept) if path.is_file() else web.FileResponse(_DIST / "index.html")


@asynccontextmanager
async def running_viewer() -> AsyncIterator[Viewer]:
    """The viewer on a free port. Its `service` is to be set before a page is opened."""
    viewer = Viewer()

    async def configuration(_: web.Request) -> web.Response:
        return web.Response(text=viewer.configuration(), content_type="application/javascript")

    app = web.Application()
    app.add_routes([web.get("/app-config.js", configuration), web.get("/{path:.*}", _file)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        viewer.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield viewer
    finally:
        await runner.cleanup()
