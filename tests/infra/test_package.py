"""The deployed package: what is in it, what is not, and that it starts."""

import json
import re
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

from devhost.azurite.storage_account import ACCOUNT_KEY
from scripts import trim_environment
from scripts.bicep.variants import deployments
from scripts.deployment import Unusable, package
from shared.pages import viewer_release
from shared.settings import Settings
from tests.infra import contract

ROOT = Path(__file__).parents[2]


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def test_the_package_holds_the_app_and_nothing_else_of_the_repository():
    deployed = {name for name in tracked() if name.partition("/")[0] in package.DEPLOYED}

    assert set(package.source_files(ROOT)) >= deployed
    assert {name.partition("/")[0] for name in package.source_files(ROOT)} == set(package.DEPLOYED)


def test_core_tools_would_publish_the_same_files():
    patterns = [line.lstrip("/") for line in (ROOT / ".funcignore").read_text().splitlines()]
    assert all(line.startswith("/") for line in (ROOT / ".funcignore").read_text().splitlines())

    published = {name for name in tracked() if not any(fnmatch(name.partition("/")[0], each) for each in patterns)}

    assert {name.partition("/")[0] for name in published} == {*package.DEPLOYED, "requirements.txt"}


def test_the_packages_are_the_same_whoever_makes_the_package():
    """A marker is about the machine that pip runs on, not about the one that it installs for."""
    markers = re.findall(r"^[\w.-]+==\S+ ; (.*?) \\$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)

    assert markers != []
    assert [each for each in markers if re.search(r"sys_platform|platform_system|platform_machine|os_name", each)] == []


def test_the_codecs_of_the_package_are_those_that_the_app_names():
    assert package.codecs(ROOT) == {"dicomrle", "htj2k", "jpeg2k", "jpeg8", "jpegls", "jpegxl", "spng"}


def left(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_trimming_keeps_a_library_that_a_kept_library_needs(tmp_path):
    for name, content in {
        "imagecodecs/_jpeg8.abi3.so": b"..libjpeg.so.8..",
        "imagecodecs/_shared.abi3.so": b"",
        "imagecodecs/_avif.abi3.so": b"..libavif.so..",
        "imagecodecs/imagecodecs.py": b"",
        "imagecodecs.libs/libjpeg.so.8": b"..libz.so.1..",
        "imagecodecs.libs/libz.so.1": b"",
        "imagecodecs.libs/libavif.so": b"",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)

    package.trim(tmp_path, frozenset({"jpeg8"}))

    assert left(tmp_path) == {
        "imagecodecs/_jpeg8.abi3.so",
        "imagecodecs/_shared.abi3.so",
        "imagecodecs/imagecodecs.py",
        "imagecodecs.libs/libjpeg.so.8",
        "imagecodecs.libs/libz.so.1",
    }


def test_trimming_removes_tests_sources_and_stubs_but_no_module_or_licence(tmp_path):
    kept = {"a/__init__.py", "a/testing/__init__.py", "a/data.json", "a-1.dist-info/METADATA", "a-1.dist-info/LICENSE"}
    removed = {
        "a/tests/test_a.py",
        "a/core/tests/x.py",
        "a/a.pyi",
        "a/a.pyx",
        "bin/tool",
        "a/__pycache__/a.pyc",
        "numpy/core/include/n.h",
    }
    for name in kept | removed:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    package.trim(tmp_path, frozenset())

    assert left(tmp_path) == kept


def test_the_archive_is_the_same_for_the_same_content(tmp_path):
    folder = tmp_path / "package"
    (folder / "shared").mkdir(parents=True)
    (folder / "shared/a.py").write_text("a")
    (folder / "host.json").write_text("{}")

    first = package.archive(folder, tmp_path / "1.zip")
    (folder / "host.json").touch()
    second = package.archive(folder, tmp_path / "2.zip")

    assert first == second
    with zipfile.ZipFile(tmp_path / "1.zip") as zipped:
        assert zipped.namelist() == ["host.json", "shared/a.py"]


def test_another_python_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.version_info", (3, 12, 0))

    with pytest.raises(Unusable, match=r"3\.13"):
        package.build(tmp_path / "package")


@pytest.mark.spec("VIEW-4")
def test_the_viewer_is_in_the_package_where_the_app_looks_for_it(tmp_path, monkeypatch):
    monkeypatch.setattr(package, "_install", lambda _requirements, target: target.mkdir(parents=True))
    (tmp_path / "made").mkdir()
    (tmp_path / "made/release.json").write_text("{}")
    monkeypatch.setattr(package.compileall, "compile_dir", lambda *_, **__: True)

    package.build(tmp_path / "with", viewer=tmp_path / "made")
    package.build(tmp_path / "without")

    assert package.VIEWER == viewer_release.FOLDER
    assert (tmp_path / "with" / viewer_release.FOLDER / "release.json").exists()
    assert not (tmp_path / "without" / viewer_release.FOLDER).exists()
    with pytest.raises(Unusable, match="VIEWER=0"):
        package.build(tmp_path / "empty", viewer=tmp_path / "nothing")


@pytest.mark.nightly
async def test_the_package_starts_from_its_folder_alone_and_is_small(tmp_path):
    target = tmp_path / "package"
    package.build(target)

    shown, _ = package.proven(target)

    assert set(shown["functions"]) == set(contract.app_functions())
    assert package.size(target) < package.MOST_BYTES
    compiled = {
        path.relative_to(target).parent.parent / f"{path.name.partition('.')[0]}.py" for path in target.rglob("*.pyc")
    }
    sources = {path.relative_to(target) for path in target.rglob("*.py")}
    assert sources - compiled == set()


def test_a_package_that_is_slow_to_import_is_refused(tmp_path, monkeypatch):
    times = [1.9, 1.3, 1.1]
    monkeypatch.setattr(package, "prove", lambda _target: {"functions": ["a"], "seconds": times.pop(0)})

    assert package.proven(tmp_path) == ({"functions": ["a"], "seconds": 1.1}, 1.1)
    times += [1.3, 1.25, 1.4]
    with pytest.raises(Unusable, match=r"1\.25 s of processor time"):
        package.proven(tmp_path)


def test_a_package_that_is_too_large_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(package, "build", lambda target, **_: (target / "file").write_bytes(b"123"))
    monkeypatch.setattr(package, "MOST_BYTES", 2)

    assert package.main([str(tmp_path)]) == 1
    assert "3 bytes unpacked; 2 are the most" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "why"),
    [("import a_package_that_was_left_out", "No module named"), ("app = None", "has no attribute 'get_functions'")],
)
def test_a_package_that_does_not_start_is_refused(tmp_path, source, why):
    (tmp_path / "function_app.py").write_text(source)
    (tmp_path / "shared").mkdir()

    with pytest.raises(Unusable, match=why):
        package.prove(tmp_path)


def test_no_wheel_asks_for_another_c_library_than_azure_has():
    """Debian 12 has glibc 2.36; the first tag is what the packages are resolved for."""
    versions = [tuple(map(int, tag.split("_")[1:])) for tag in package._WHEELS if "_" in tag]

    assert max(versions) == versions[0] <= (2, 36)


def test_bytecode_is_used_whatever_the_times_of_files_are(tmp_path, monkeypatch):
    monkeypatch.setattr(package, "_install", lambda _requirements, target: (target / "other").mkdir(parents=True))
    monkeypatch.setattr(package, "codecs", lambda _root: frozenset())
    root = tmp_path / "root"
    (root / "shared").mkdir(parents=True)
    for name in ("function_app.py", "host.json", "shared/one.py"):
        (root / name).write_text("{}\n")

    package.build(tmp_path / "package", root)

    compiled = sorted((tmp_path / "package").rglob("*.pyc"))
    assert [path.name.partition(".")[0] for path in compiled] == ["function_app", "one"]
    # PEP 552: by the hash of the source, which is not checked.
    assert {int.from_bytes(path.read_bytes()[4:8], "little") for path in compiled} == {0b01}


def test_the_image_holds_the_package_and_nothing_else():
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    copied = [line.split()[1:] for line in lines if line.startswith(("COPY", "ADD"))]
    made = package.TARGET.relative_to(ROOT).as_posix()

    assert copied == [[made, package.ON_AZURE]]
    assert (ROOT / ".dockerignore").read_text().split() == ["*", f"!{made}"]
    assert f"PYTHONPATH={package.ON_AZURE}/{package.PACKAGES}" in " ".join(lines)
    assert f"AzureWebJobsScriptRoot={package.ON_AZURE}" in " ".join(lines)


def test_the_image_is_of_the_host_and_the_python_that_are_tested():
    (image,) = re.findall(r"^FROM (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert image == f"mcr.microsoft.com/azure-functions/python:4-python{sys.version_info[0]}.{sys.version_info[1]}"


def test_the_service_without_sign_in_is_published_on_this_machine_only():
    text = (ROOT / "compose.yaml").read_text()
    environment = dict(re.findall(r'^      (\w+): (?:[&*]storage ?)?"?([^"\n]*)"?$', text, re.MULTILINE))
    storage = environment["AzureWebJobsStorage"]

    assert re.findall(r"ports: \[(.*)\]", text) == ['"127.0.0.1:8080:80"']
    settings = Settings.from_environment({**environment, "DicomStorage": storage})
    assert (settings.index_shards, settings.table_spread) == (1, 64)
    assert settings.host_body_bytes == settings.max_request_bytes + 1024**2
    assert f"AccountKey={ACCOUNT_KEY};" in storage
    emulator = json.loads((ROOT / "devhost/azurite/npm/package.json").read_text())["dependencies"]["azurite"]
    assert f"azurite:{emulator}" in text


def test_azd_deploys_the_archive_as_it_is():
    text = (ROOT / "azure.yaml").read_text()

    assert f"dist: {package.TARGET.with_suffix('.zip').relative_to(ROOT).as_posix()}" in text
    assert "language: custom" in text
    assert "remoteBuild: false" in text
    for module in re.findall(r"-m (scripts\.[\w.]+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists()
    site = deployments(ROOT / "infra")["trial"].one("app")
    assert re.findall(r"^services:\n  (\w+):$", text, re.MULTILINE) == [site.at("tags")["azd-service-name"]]


def test_what_make_run_installs_is_trimmed_like_the_package(tmp_path):
    for name in ("imagecodecs/_jpeg8.abi3.so", "imagecodecs/_avif.abi3.so", "numpy/tests/t.py", "numpy/core.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    trim_environment.main(tmp_path)
    assert left(tmp_path) == {"imagecodecs/_jpeg8.abi3.so", "numpy/core.py"}
    assert "-m scripts.trim_environment" in (package.ROOT / "scripts/setup").read_text()
