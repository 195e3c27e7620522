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

PAGE: Final = "index.html"
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
_PLACE: Final = re.compile(rb'"static/')
_MODULE: Final = ".js"
_MODULES: Final = b"<!-- modules -->"
"""Where the page names all modules, so that a browser asks for them at once and not one after the other."""
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_EACH_TIME: Final = "no-cache"


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


def static_files(configuration: bytes) -> Mapping[str, StaticFile]:
    """Every file, by its path behind `/ui/`; the page itself has the empty one.

    `configuration` is the JSON text that tells the scripts about this deployment.
    """
    sources = {path.relative_to(_FOLDER).as_posix(): path.read_bytes() for path in sorted(_FOLDER.rglob("*.*"))}
    sources[_DICTIONARY.name] = _DICTIONARY.read_bytes()
    page = sources.pop(PAGE)
    digest = hashlib.sha256(b"".join(name.encode() + content for name, content in sources.items())).hexdigest()[:16]
    modules = (f'<link rel="modulepreload" href="static/{name}">' for name in sources if name.endswith(_MODULE))
    page = _PLACE.sub(f'"{digest}/'.encode(), page.replace(_MODULES, "\n".join(modules).encode()))
    return {
        "": StaticFile(_MEDIA_TYPES[".html"], page, _EACH_TIME),
        "configuration.json": StaticFile(JSON_UTF_8, configuration, _EACH_TIME),
        **{
            f"{digest}/{name}": StaticFile(_MEDIA_TYPES[Path(name).suffix], content, _FOR_GOOD)
            for name, content in sources.items()
        },
    }
