"""The files of a cohort in a folder of this machine: fetched, compared, gone on with (cohorts §8.4, COH-8)."""

import argparse
import hashlib
import http.client
import json
import re
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any, Final, TypeIs
from urllib.parse import quote, unquote

from dicom_cli.cohort_tables import replace_text, write_result
from dicom_cli.elements import first
from dicom_cli.get import UID, accepted_file, resource_path, save
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output
from dicom_cli.search import results
from dicom_cli.service import JSON, Service

CHECKSUMS: Final = "checksums.sha256"
"""The files that were fetched, as `sha256sum --check` reads them; one that differs is fetched again."""
_LINE: Final = re.compile(r"([0-9a-f]{64})  (dicom/[0-9.]+/[0-9.]+/[0-9.]+\.dcm)")
_ADDRESS: Final = re.compile(r"/v[12](?:/partitions/([^/?#]+))?/studies/([0-9.]+)")
_TOGETHER: Final = 256
"""Files that are known at a time: the memory does not grow with the cohort, and a few small studies keep all busy."""


@dataclass(frozen=True, slots=True)
class _Instance:
    """An instance of a study of the cohort, and the service in whose data partition it is."""

    study: str
    series: str
    sop_instance: str
    sop_class: str
    service: Service

    @property
    def name(self) -> str:
        return f"{self.study}/{self.series}/{self.sop_instance}"

    @property
    def file(self) -> str:
        """Relative to the folder."""
        return f"dicom/{self.name}.dcm"


class _Checksums:
    """The checksums of the files that are there. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CHECKSUMS
        self._lock = threading.Lock()
        text = self._path.read_text("utf-8") if self._path.exists() else ""
        self._known = {found[2]: found[1] for line in text.splitlines() if (found := _LINE.fullmatch(line))}
        self.write()

    def __getitem__(self, file: str) -> str:
        return self._known.get(file, "")

    def note(self, file: str, checksum: str) -> None:
        """A file is there: said at once, so that a run that is cut off loses nothing."""
        with self._lock, self._path.open("a", encoding="utf-8", newline="\n") as journal:
            self._known[file] = checksum
            journal.write(f"{checksum}  {file}\n")

    def write(self) -> None:
        """One line for each file, sorted."""
        with self._lock:
            replace_text(self._path, "".join(f"{self._known[file]}  {file}\n" for file in sorted(self._known)))


class _Export:
    """One run. Prints an outcome for each file, and for each study that cannot be listed."""

    def __init__(self, folder: Path, service: Service, output: Output) -> None:
        self.there: dict[str, list[dict[str, str]]] = {}
        """The files of each study, as `files` of the manifest lists them (COH-29)."""
        self.done = 0
        self.failed = 0
        self._folder = folder
        self._service = service
        self._output = output
        self._lock = threading.Lock()
        self._checksums = _Checksums(folder)

    def run(self, manifest: Mapping[str, Any], parallel: int) -> None:
        """Fetch what is not there yet."""
        with ThreadPoolExecutor(max(1, parallel)) as pool:
            for group in batched(self._instances(manifest), _TOGETHER, strict=False):
                for _ in pool.map(self._one, group):
                    pass
        self._checksums.write()

    def _instances(self, manifest: Mapping[str, Any]) -> Iterator[_Instance]:
        seen: set[str] = set()
        for study in (study for patient in manifest["patients"] for study in patient.get("studies", ())):
            address = str(study.get("retrieve"))
            if address in seen and "retrieve" in study:
                continue
            seen.add(address)
            try:
                yield from self._of_study(study)
            except CommandFailed as failure:
                if failure.code is ExitCode.NOT_REACHABLE:
                    raise
                self._tell({"study": study.get("uid"), "outcome": "failed", "error": str(failure)})

    def _of_study(self, study: Mapping[str, Any]) -> Iterator[_Instance]:
        """The instances that the manifest lists, else those that the service has. Raises CommandFailed."""
        uid, address, base = str(study.get("uid")), str(study.get("retrieve", "")), self._service.url
        found = _ADDRESS.fullmatch(address.removeprefix(base)) if address.startswith(f"{base}/") else None
        if not UID.fullmatch(uid) or found is None or found[2] != uid:
            place = address.partition("/studies/")[0] or "nowhere"
            raise CommandFailed(f"Its address is {place}, not {base} (--url): nothing is asked elsewhere.")
        service = self._service.in_partition(unquote(found[1] or ""))
        rows = study.get("files") or [
            {
                "seriesInstanceUid": _value(row, "0020000E"),
                "sopInstanceUid": _value(row, "00080018"),
                "sopClassUid": _value(row, "00080016"),
            }
            for row in results(service, f"studies/{uid}/instances", [], limit=None)
        ]
        if not rows:
            raise CommandFailed("It is not there any more.", ExitCode.NOT_FOUND)
        seen: set[str] = set()
        for row in rows:
            series, sop_instance = str(row.get("seriesInstanceUid")), str(row.get("sopInstanceUid"))
            if not UID.fullmatch(series) or not UID.fullmatch(sop_instance):
                raise CommandFailed("An instance of it has no UIDs.")
            if sop_instance not in seen:
                yield _Instance(uid, series, sop_instance, str(row.get("sopClassUid") or ""), service)
            seen.add(sop_instance)

    def _one(self, one: _Instance) -> None:
        row: dict[str, Any] = {"instance": one.name}
        try:
            row |= self._unchanged(one) or self._fetched(one)
        except (CommandFailed, OSError, http.client.HTTPException) as failure:
            self._tell(row | {"outcome": "failed", "error": str(failure) or type(failure).__name__})
        else:
            listed = {
                "studyInstanceUid": one.study,
                "seriesInstanceUid": one.series,
                "sopInstanceUid": one.sop_instance,
                "sopClassUid": one.sop_class,
                "url": one.file,
            }
            with self._lock:
                self.there.setdefault(one.study, []).append(listed)
            self._tell(row)

    def _unchanged(self, one: _Instance) -> dict[str, Any] | None:
        """The outcome of a file that is there as it was fetched; else None."""
        target, known = self._folder / one.file, self._checksums[one.file]
        if not known or not target.is_file() or _checksum(target) != known:
            return None
        return {"outcome": "unchanged", "file": str(target), "bytes": target.stat().st_size, "sha256": known}

    def _fetched(self, one: _Instance) -> dict[str, Any]:
        from dicom_cli.importing.folder import LocalFile
        from dicom_cli.importing.identifiers import identifiers

        target = self._folder / one.file
        size = save(one.service, resource_path(one.name.split("/")), accepted_file("*"), target)
        found = identifiers(LocalFile(target, target.name, size, target.stat().st_mtime_ns))
        if found is None or (found.study, found.series, found.sop_instance) != tuple(one.name.split("/")):
            target.unlink()
            raise CommandFailed("What came is another instance, or none.")
        checksum = _checksum(target)
        self._checksums.note(one.file, checksum)
        return {"outcome": "fetched", "file": str(target), "bytes": size, "sha256": checksum}

    def _tell(self, row: dict[str, Any]) -> None:
        failed = row["outcome"] == "failed"
        with self._lock:
            self.failed += failed
            self.done += not failed
        named = row.get("file") or row.get("instance") or row.get("study")
        self._output.item(row, f"failed: {named}: {row['error']}" if failed else f"{row['outcome']}: {named}")


def export_to_folder(arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """The files of a cohort, its manifest and its tables in a folder. Raises CommandFailed.

    De-identifying is work of the service: here files are as they are stored, and so it has to be said.
    """
    if not arguments.identified:
        text = "Files in a folder are as they are stored: --identified says so. A container gets de-identified ones."
        raise CommandFailed(text, ExitCode.WRONG_USE)
    if arguments.managed_identity or arguments.no_wait:
        raise CommandFailed("--managed-identity and --no-wait are for a container.", ExitCode.WRONG_USE)
    folder = Path(arguments.to)
    if folder.exists() and not folder.is_dir():
        raise CommandFailed(f"{folder} is no folder.", ExitCode.WRONG_USE)
    manifest = _manifest(arguments.cohort, service)
    studies = [study for patient in manifest["patients"] for study in patient.get("studies", ())]
    if studies and not any("uid" in study for study in studies):
        text = "The manifest names no studies: it was made for somebody without the data action cohortIdentified."
        raise CommandFailed(text, ExitCode.NOT_ALLOWED)
    folder.mkdir(parents=True, exist_ok=True)
    export = _Export(folder, service, output)
    export.run(manifest, arguments.parallel)
    for study in studies:
        study.pop("files", None)
        if arguments.files and (there := export.there.get(study.get("uid", ""))):
            study["files"] = sorted(there, key=lambda each: (each["seriesInstanceUid"], each["sopInstanceUid"]))
    write_result(folder, manifest)
    output.say(f"{export.done} files in {folder}; {export.failed} failed.")
    return ExitCode.SOME_FAILED if export.failed else ExitCode.DONE


def manifest_id(cohort: str) -> str:
    """The id of a cohort that was named by its id or by the file of its manifest. Raises CommandFailed."""
    if not Path(cohort).is_file():
        return cohort
    found = _manifest_in(Path(cohort)).get("id")
    if not isinstance(found, str) or not found:
        raise CommandFailed(f"{cohort} does not say of which cohort it is.", ExitCode.WRONG_USE)
    return found


def _manifest(cohort: str, service: Service) -> dict[str, Any]:
    if Path(cohort).is_file():
        return _manifest_in(Path(cohort))
    if "/" in cohort or cohort.endswith(".json"):
        raise CommandFailed(f"{cohort} is not there.", ExitCode.WRONG_USE)
    found: Any = service.ask("GET", f"/v2/cohorts/{quote(cohort, safe='')}/manifest", headers={"Accept": JSON}).json()
    return _checked(found, cohort)


def _manifest_in(path: Path) -> dict[str, Any]:
    try:
        return _checked(json.loads(path.read_bytes()), str(path))
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{path} is no manifest: {error}", ExitCode.WRONG_USE) from None


def _checked(found: Any, name: str) -> dict[str, Any]:
    patients = found.get("patients") if isinstance(found, dict) else None
    if not _objects(patients) or not all("id" in each and _objects(each.get("studies", [])) for each in patients):
        raise CommandFailed(f"{name} is no manifest: it has no patients with studies.", ExitCode.WRONG_USE)
    return dict(found)


def _objects(found: Any) -> TypeIs[list[dict[str, Any]]]:
    return isinstance(found, list) and all(isinstance(each, dict) for each in found)


def _value(row: Mapping[str, Any], tag: str) -> str:
    return str(first(row, tag))


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
