"""The deployed package: the app, its packages for Azure's Linux, compiled, nothing else; and a proof that it starts.

`scripts/package` makes `.cache/package/` and `.cache/package.zip` on any system with Python 3.13. Nothing is built on
Azure: what is tested is what runs, down to the hash of each wheel.
"""

import compileall
import hashlib
import json
import math
import os
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from scripts.deployment import Unusable

ROOT: Final = Path(__file__).parents[2]
TARGET: Final = ROOT / ".cache/package"
DEPLOYED: Final = ("function_app.py", "host.json", "shared")
"""What the app is, of all that the repository holds."""
VIEWER: Final = "viewer"
"""Where the app looks for the files of the viewer (`shared.pages.viewer_release.FOLDER`)."""
PACKAGES: Final = ".python_packages/lib/site-packages"
"""Where the worker of the platform looks for packages."""
MOST_BYTES: Final = 250_000_000
"""Unpacked. An instance copies and reads it at each cold start."""
MOST_SECONDS: Final = 1.2
"""Processor time of the import of the app, which is before the first request of each cold start."""
_PROOFS: Final = 3
"""How often the time is taken at most: the least counts, for beside other work it is longer."""
ON_AZURE: Final = "/home/site/wwwroot"
_WHEELS: Final = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
"""What wheels may ask for: the platform's Debian 12 has glibc 2.36, and pip takes each tag literally."""
_FAT: Final = re.compile(
    r"(^|/)(tests|_tests|test|f2py|distutils|__pycache__)/|^bin/|\.(pyi|pyx|pxd|pxi|c|h|hpp|cpp|a|f|f90|md|rst)$|^numpy/.*/include/"
)
"""Files of packages that nothing imports: tests, sources, stubs, tools."""
_CODEC: Final = re.compile(r"\bimagecodecs\.(\w+?)_(?:de|en)code\b")
_CODEC_MODULES: Final = {"dicomrle": "imcd"}
"""Codecs whose module has another name."""
_ALWAYS: Final = frozenset({"imcd", "shared", "shared_cython"})


def build(target: Path, root: Path = ROOT, viewer: Path | None = None) -> None:
    """Make the package in `target`, with the viewer of the folder `viewer`, if one is given.

    Raises Unusable when a tool, a wheel or the viewer is missing.
    """
    if sys.version_info[:2] != (3, 13):
        raise Unusable("Bytecode is for one version of Python, and Azure runs 3.13; this one is another.")
    shutil.rmtree(target, ignore_errors=True)
    for name in source_files(root):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, target / name)
    if viewer is not None:
        if not (viewer / "release.json").is_file():
            raise Unusable(f"{viewer} holds no viewer: scripts/setup-viewer makes it, and VIEWER=0 leaves it out.")
        shutil.copytree(viewer, target / VIEWER)
    packages = target / PACKAGES
    _install(root / "requirements.txt", packages)
    trim(packages, codecs(root))
    quiet: Any = 1
    compiled = compileall.compile_dir(
        target,
        quiet=quiet,
        stripdir=str(target),
        prependdir=ON_AZURE,
        # Neither the time nor the hash of a source is looked at: zip and file share change times.
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        raise Unusable("A module could not be compiled.")


def source_files(root: Path) -> list[str]:
    """The files of the app, relative to `root`."""
    found = [
        path for name in DEPLOYED for path in ([root / name] if (root / name).is_file() else (root / name).rglob("*"))
    ]
    return sorted(
        path.relative_to(root).as_posix() for path in found if path.is_file() and "__pycache__" not in path.parts
    )


def codecs(root: Path) -> frozenset[str]:
    """The codecs of imagecodecs that the app names."""
    sources = "\n".join(path.read_text() for path in (root / "shared").rglob("*.py"))
    return frozenset(_CODEC.findall(sources))


def _install(requirements: Path, target: Path) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".venv/bin"))
    common = ["--target", str(target), "--python-version", "3.13", "--require-hashes", "--only-binary", ":all:"]
    if uv:
        tool = [uv, "pip", "install", "--quiet", "--python-platform", f"x86_64-{_WHEELS[0]}", "--link-mode", "copy"]
    else:
        tags = [f"--platform={tag}_x86_64" for tag in _WHEELS]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        tool = [*pip, "--no-compile", "--implementation", "cp", *tags]
    if subprocess.run([*tool, *common, "--no-deps", "--requirement", str(requirements)], check=False).returncode:
        raise Unusable("The packages could not be fetched; see above.")


def trim(packages: Path, used: frozenset[str]) -> None:
    """Remove what nothing imports: tests and sources, and the codecs that the app never names, with their libraries."""
    for path in sorted(packages.rglob("*"), reverse=True):
        if path.is_file() and _FAT.search(path.relative_to(packages).as_posix()):
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    modules = {_CODEC_MODULES.get(name, name) for name in used} | _ALWAYS
    for path in (packages / "imagecodecs").glob("_*.so"):
        if path.name.partition(".")[0].removeprefix("_") not in modules:
            path.unlink()
    needed = set(_libraries(packages / "imagecodecs", packages / "imagecodecs.libs"))
    for path in (packages / "imagecodecs.libs").glob("*"):
        if path not in needed:
            path.unlink()


def _libraries(modules: Path, libraries: Path) -> Iterator[Path]:
    """The libraries whose names stand in one of the modules, or in such a library."""
    waiting, seen = list(modules.glob("_*.so")), set[Path]()
    while waiting:
        content = waiting.pop().read_bytes()
        for each in libraries.glob("*"):
            if each not in seen and each.name.encode() in content:
                seen.add(each)
                waiting.append(each)
    yield from seen


def prove(target: Path) -> dict[str, Any]:
    """Start the app in a bare interpreter on the package alone: functions, codecs, processor time. Raises Unusable."""
    proof = Path(__file__).with_name("proof.py")
    run = subprocess.run(
        [sys.executable, "-I", "-S", str(proof), str(target), *sorted(codecs(target))],
        check=False,
        capture_output=True,
        text=True,
        timeout=180,
    )
    if run.returncode:
        raise Unusable(f"The package does not start:\n{run.stderr}")
    return dict(json.loads(run.stdout.splitlines()[-1]))


def proven(target: Path) -> tuple[dict[str, Any], float]:
    """What `prove` has found, and the least time that the import took. Raises Unusable, also when that is too much."""
    least = math.inf
    for _ in range(_PROOFS):
        shown = prove(target)
        least = min(least, shown["seconds"])
        if least <= MOST_SECONDS:
            return shown, least
    raise Unusable(f"The import of the app takes {least:.2f} s of processor time; {MOST_SECONDS} s are the most.")


def size(target: Path) -> int:
    """Bytes, unpacked."""
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def archive(target: Path, file: Path) -> str:
    """The package as a zip file, the same for the same content; its SHA-256."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in sorted(target.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(target).as_posix(), (1980, 1, 1, 0, 0, 0))
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                zipped.writestr(entry, path.read_bytes())
    return hashlib.sha256(file.read_bytes()).hexdigest()


def main(arguments: Sequence[str] = ()) -> int:
    """Build, prove, pack. Exit status 1 with a reason when the package would not do."""
    target = Path(arguments[0]) if arguments else TARGET
    viewer = None if os.environ.get("VIEWER") == "0" else ROOT / ".cache/viewer"
    try:
        build(target, viewer=viewer)
        unpacked = size(target)
        if unpacked > MOST_BYTES:
            raise Unusable(f"The package has {unpacked:,} bytes unpacked; {MOST_BYTES:,} are the most.")
        if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
            shown, seconds = proven(target)
            print(f"starts: {len(shown['functions'])} functions, {seconds:.2f} s of processor time")
        else:
            print("NOT RUN: the proof that the package starts needs Linux on x86-64", file=sys.stderr)
        file = target.with_suffix(".zip")
        digest = archive(target, file)
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{file}: {file.stat().st_size:,} bytes, {unpacked:,} unpacked, sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
