"""The folder of the viewer, made of a package."""

import base64
import gzip
import hashlib
import io
import json
import tarfile

import pytest

from scripts import viewer_release
from scripts.viewer_release import UnknownRelease, adapted

BEGIN = (
    b"""__webpack_require__.p = "/"; browserImportFunction('/dicom-microscopy-viewer/dicomMicroscopyViewer.min.js')"""
)
RELEASED = {
    "app.bundle.0123abcd.js": BEGIN,
    "app.bundle.css": b"@font-face { src: url(/a34f9d1faa5f3315.woff2) }",
    "7.bundle.js": b'__webpack_require__.p = "/"; importScripts(1)',
}


def test_files_ask_for_each_other_where_they_are():
    files = adapted(RELEASED)

    assert b'"/"' not in files["app.bundle.0123abcd.js"] + files["7.bundle.js"]
    assert b"window.PUBLIC_URL + 'dicom-microscopy-viewer/" in files["app.bundle.0123abcd.js"]
    assert files["app.bundle.css"] == b"@font-face { src: url(a34f9d1faa5f3315.woff2) }"


@pytest.mark.parametrize(
    "changes",
    [
        {"app.bundle.0123abcd.js": b"p('/')"},
        {"app.bundle.ffff.js": BEGIN},
        {"other.css": b"a { background: url(/picture.png) }"},
    ],
)
def test_a_release_of_another_make_is_refused(changes):
    with pytest.raises(UnknownRelease):
        adapted({**RELEASED, **changes})


def packed(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def test_a_package_becomes_a_folder_without_what_nobody_asks_for(tmp_path):
    dropped = ("index.html", "sw.js", "app.bundle.js.map", "ort/ort.wasm", "assets/favicon.ico", "app-config.js")
    files = {f"package/dist/{name}": content for name, content in RELEASED.items()}
    files |= {f"package/dist/{name}": b"x" for name in dropped} | {"package/LICENSE": b"MIT", "package/src/a.js": b"x"}
    integrity = packed(tmp_path / "ohif.tgz", files)

    ended = viewer_release.main([str(tmp_path / "ohif.tgz"), "1.2.3", integrity, str(tmp_path / "viewer")])

    assert ended == 0
    told = json.loads((tmp_path / "viewer/release.json").read_text())
    assert (told["version"], told["script"], told["style"]) == ("1.2.3", "app.bundle.0123abcd.js", "app.bundle.css")
    assert set(told["files"]) == {*RELEASED, "LICENSE.txt"}
    for name in told["files"]:
        assert gzip.decompress((tmp_path / "viewer" / f"{name}.gz").read_bytes())


def test_a_package_with_another_digest_is_refused(tmp_path, capsys):
    packed(tmp_path / "ohif.tgz", {"package/dist/app.bundle.css": b""})

    ended = viewer_release.main([str(tmp_path / "ohif.tgz"), "1.2.3", "sha512-AAAA", str(tmp_path / "viewer")])

    assert ended == 1
    assert "not the package that was asked for" in capsys.readouterr().err
    assert not (tmp_path / "viewer").exists()
