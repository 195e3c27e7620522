"""The files of OHIF Viewer, as `scripts/setup-viewer` has prepared them: a closed list of files in gzip (VIEW-4).

They lie below a segment that is the digest of all of them, so that browsers keep them for good and never mix two
releases. They are read when they are asked for: thirteen megabytes need not be in the memory of an idle app.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from shared.dicom.media_types import CSS, JAVASCRIPT, OCTET_STREAM, PNG, TEXT, WASM, WOFF2

FOLDER: Final = "viewer"
"""Where the files are in the deployed package, beside `function_app.py`."""
_MEDIA_TYPES: Final = {
    ".js": JAVASCRIPT,
    ".css": CSS,
    ".wasm": WASM,
    ".png": PNG,
    ".woff2": WOFF2,
    ".txt": TEXT,
}


@dataclass(frozen=True, slots=True)
class ViewerRelease:
    """One release of the viewer in a folder."""

    folder: Path
    version: str
    digest: str
    script: str
    """The script to begin with, and its style."""
    style: str
    tags: Mapping[str, str]
    """The digest of each file, by its name."""

    @staticmethod
    def read(folder: Path) -> "ViewerRelease | None":
        """The release in `folder`; None where there is none."""
        try:
            told = orjson.loads((folder / "release.json").read_bytes())
        except FileNotFoundError:
            return None
        return ViewerRelease(folder, told["version"], told["digest"], told["script"], told["style"], told["files"])

    def filled_in(self, page: bytes) -> bytes:
        """The page of the viewer with the names of this release."""
        for name, value in ((b"{release}", self.digest), (b"{script}", self.script), (b"{style}", self.style)):
            page = page.replace(name, value.encode())
        return page

    def content(self, name: str, *, packed: bool) -> bytes:
        """A file of the list, in gzip or not. It reads, and unpacks up to some 20 MB: in a thread, please."""
        content = (self.folder / f"{name}.gz").read_bytes()
        return content if packed else gzip.decompress(content)


def media_type(name: str) -> str:
    """The media type of a file of the viewer, by the end of its name."""
    return _MEDIA_TYPES.get(Path(name).suffix, OCTET_STREAM)
