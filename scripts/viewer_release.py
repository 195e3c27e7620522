"""Makes of the released package of OHIF Viewer the folder that the service serves below `/ui/viewer/` (VIEW-4).

`python -m scripts.viewer_release PACKAGE.tgz VERSION INTEGRITY FOLDER`. Each file that the viewer needs is there once,
in gzip, beside `release.json`, which lists them. The release expects to be at the root of its host; the few places that
say so are changed to ask where they are, and a release in which they are not found is refused.
"""

import base64
import gzip
import hashlib
import json
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

_INSIDE: Final = "package/dist/"
LICENSE: Final = "package/LICENSE"
_LEFT_OUT: Final = re.compile(
    r"\.map$|^(ort|customizations)/|^assets/(?!images/)|^[^/]+\.(html|json|svg|xml)$|^_|"
    r"^(app-config|es6-shim\.min|google|init-service-worker|oidc-client\.min|polyfill\.min|sw)\.js$"
)
"""Maps of the sources; the runtime, of 100 MB, of models that would be fetched from elsewhere; the start page with its
icons and scripts, in whose place the service has its own."""
_ROOT: Final = b'__webpack_require__.p = "/";'
_HERE: Final = b'__webpack_require__.p = self.PUBLIC_URL || new URL("./", self.location.href).pathname;'
"""Where parts are loaded from: the page says so, and a worker is beside its parts."""
_MICROSCOPY: Final = b"'/dicom-microscopy-viewer/dicomMicroscopyViewer.min.js'"
_MICROSCOPY_HERE: Final = b"window.PUBLIC_URL + " + _MICROSCOPY.replace(b"'/", b"'")
_FONT: Final = re.compile(rb"url\(/([0-9a-f]{16}\.woff2)\)")
_SCRIPT: Final = re.compile(r"app\.bundle\.[0-9a-f]+\.js")
_STYLE: Final = "app.bundle.css"


class UnknownRelease(Exception):
    """The package is not the one that this was made for; the text says in what."""


def check(package: Path, integrity: str) -> None:
    """Raises UnknownRelease unless the file has that digest (`sha512-BASE64`, as npm writes it)."""
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != integrity:
        raise UnknownRelease(f"{package.name} is not the package that was asked for: its digest is sha512-{digest}.")


def adapted(released: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files, asking for each other where they are. Raises UnknownRelease."""
    files = {}
    for name, content in released.items():
        changed = content
        if name.endswith(".js"):
            changed = changed.replace(_ROOT, _HERE).replace(_MICROSCOPY, _MICROSCOPY_HERE)
        elif name.endswith(".css"):
            changed = _FONT.sub(rb"url(\1)", changed)
        files[name] = changed
    scripts = [name for name in files if _SCRIPT.fullmatch(name)]
    if len(scripts) != 1 or _STYLE not in files:
        raise UnknownRelease("The package has no script or no style to begin with.")
    begin = files[scripts[0]]
    if begin.count(_HERE) != 1 or begin.count(_MICROSCOPY_HERE) != 1:
        raise UnknownRelease("The script does not say where it is, as the releases did that are known.")
    left = [name for name, content in files.items() if b'__webpack_require__.p = "/"' in content or b"url(/" in content]
    if left:
        raise UnknownRelease(f"These files expect to be at the root of the host: {', '.join(sorted(left))}.")
    return files


def write(files: Mapping[str, bytes], version: str, folder: Path) -> None:
    """The folder: each file in gzip, and `release.json`."""
    digest = hashlib.sha256()
    tags = {}
    for name, content in sorted(files.items()):
        packed = gzip.compress(content, 9, mtime=0)
        target = folder / f"{name}.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(packed)
        tags[name] = hashlib.sha256(content).hexdigest()[:32]
        digest.update(f"{name} {tags[name]}\n".encode())
    release = {
        "version": version,
        "digest": digest.hexdigest()[:16],
        "script": next(name for name in files if _SCRIPT.fullmatch(name)),
        "style": _STYLE,
        "files": tags,
    }
    (folder / "release.json").write_text(json.dumps(release, indent=1))


def _released(package: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(package) as archive:
        for member in archive:
            name = member.name.removeprefix(_INSIDE) if member.name.startswith(_INSIDE) else ""
            if member.name == LICENSE:
                name = "LICENSE.txt"
            content = archive.extractfile(member) if member.isfile() and name and not _LEFT_OUT.search(name) else None
            if content is not None:
                yield name, content.read()


def main(arguments: Sequence[str]) -> int:
    """Exit status 1 with a reason when the package is not the one that is known."""
    package, version, integrity, folder = arguments
    try:
        check(Path(package), integrity)
        write(adapted(dict(_released(Path(package)))), version, Path(folder))
    except UnknownRelease as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
