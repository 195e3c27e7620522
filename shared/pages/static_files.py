"""The files of the pages, read once when the app starts: what is not in this list does not exist (VIEW-1, VIEW-10).

Scripts, styles and texts lie below a segment that is the digest of all of them, so that browsers keep them for good
and never mix two releases; the page that names them is asked for each time.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from gzip import compress
from pathlib import Path
from typing import Final

from shared.dicom.media_types import CSS, HTML, JAVASCRIPT, JSON_UTF_8, SVG, TABLE
from shared.pages.viewer_release import ViewerRelease

PAGE: Final = "index.html"
VIEWER: Final = "viewer.html"
"""The page of the viewer, which lies a segment deeper."""
VIEWER_PLACE: Final = "viewer/"
_WORKER: Final = "scripts/viewer/media_worker.js"
_WORKER_PLACE: Final = "viewer/media.js"
"""A service worker serves the pages below the address that it has itself."""
_FOLDER: Final = Path(__file__).parent / "static"
_DICTIONARY: Final = Path(__file__).parents[1] / "dicom" / "data_elements.tsv"
"""Names of attributes, as the rest of the service knows them."""
_MEDIA_TYPES: Final = {
    ".html": f"{HTML}; charset=utf-8",
    ".js": JAVASCRIPT,
    ".css": CSS,
    ".json": JSON_UTF_8,
    ".svg": SVG,
    ".tsv": TABLE,
}
_PLACE: Final = re.compile(rb'"(\.\./)?static/')
_MODULE: Final = ".js"
_MODULES: Final = b"<!-- modules -->"
"""Where the page names the modules that every view needs: a browser asks for them at once, not one after the other."""
_LATER: Final = ("scripts/viewer/", "scripts/views/", "scripts/upload/")
"""Scripts that are fetched when they are needed: those of the viewer, and of each view (VIEW-14)."""
FOR_GOOD: Final = "public, max-age=31536000, immutable"
EACH_TIME: Final = "no-cache"


@dataclass(frozen=True)
class StaticFile:
    """One file as it is sent."""

    media_type: str
    content: bytes
    cache_control: str

    @cached_property
    def compressed(self) -> bytes:
        """The content in gzip: made with the first request, so that a cold start does not wait for it."""
        return compress(self.content, 9, mtime=0)

    @cached_property
    def tag(self) -> str:
        """The entity tag of the content."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


def static_files(configuration: bytes, viewer: ViewerRelease | None = None) -> Mapping[str, StaticFile]:
    """Every file, by its path behind `/ui/`; the page itself has the empty one, and that of the viewer `viewer/`.

    `configuration` is the JSON text that tells the scripts about this deployment.
    """
    sources = {path.relative_to(_FOLDER).as_posix(): path.read_bytes() for path in sorted(_FOLDER.rglob("*.*"))}
    sources[_DICTIONARY.name] = _DICTIONARY.read_bytes()
    page, viewer_page = sources.pop(PAGE), sources.pop(VIEWER)
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in sources.items())).hexdigest()[:16]
    modules = (f'<link rel="modulepreload" href="static/{name}">' for name in sources if _is_module(name))
    page = page.replace(_MODULES, "\n".join(modules).encode())
    pages = {"": page} if viewer is None else {"": page, VIEWER_PLACE: viewer.filled_in(viewer_page)}
    place = rf'"\g<1>{digest}/'.encode()
    return {
        **{name: StaticFile(_MEDIA_TYPES[".html"], _PLACE.sub(place, text), EACH_TIME) for name, text in pages.items()},
        "configuration.json": StaticFile(JSON_UTF_8, configuration, EACH_TIME),
        **({} if viewer is None else {_WORKER_PLACE: StaticFile(JAVASCRIPT, sources[_WORKER], EACH_TIME)}),
        **{
            f"{digest}/{name}": StaticFile(_MEDIA_TYPES[Path(name).suffix], content, FOR_GOOD)
            for name, content in sources.items()
        },
    }


def _is_module(name: str) -> bool:
    return name.endswith(_MODULE) and not name.startswith(_LATER)
