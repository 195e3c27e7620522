"""The files of the corpora, and what is known to differ."""

import gzip
import hashlib
import io
import re
import tomllib
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pydicom
from pydicom import config
from pydicom import data as pydicom_data
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from tests.conftest import ROOT

CORPORA = ROOT / ".cache/corpora/files"
_OWN = Path(pydicom_data.__file__).parent
_SUFFIXES = (".dcm", ".dcm.gz", ".ima")
_REQUIRED = {
    "PatientID": "A corpus",
    "StudyInstanceUID": "",
    "SeriesInstanceUID": "",
    "SOPInstanceUID": "",
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
}
"""What a store requires (STOW-20), and what a file that lacks it is given; "" for a UID of its own."""


@dataclass(frozen=True)
class File:
    """A file; `name` is its package and its path in it."""

    name: str
    path: Path

    @cached_property
    def data(self) -> bytes:
        """Its bytes, unpacked."""
        content = self.path.read_bytes()
        return gzip.decompress(content) if self.path.suffix == ".gz" else content

    @property
    def is_dicom(self) -> bool:
        """Whether it is one, or says so by its name."""
        return self.path.name.lower().endswith(_SUFFIXES) or self.data[128:132] == b"DICM"


def _is_given(dataset: Dataset, keyword: str, *, is_uid: bool) -> bool:
    return bool(re.fullmatch(r"[0-9.]{1,64}", str(dataset.get(keyword)))) if is_uid else keyword in dataset


def identified(data: bytes) -> bytes:
    """The file with the identifiers that a store requires; `data` itself if it has them, or cannot be read."""
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")  # the files are odd on purpose
        try:
            dataset = pydicom.dcmread(io.BytesIO(data))
        except InvalidDicomError:
            return data
        missing = [keyword for keyword, made in _REQUIRED.items() if not _is_given(dataset, keyword, is_uid=not made)]
        if not missing or "TransferSyntaxUID" not in dataset.file_meta:
            return data
        seed = int(hashlib.sha256(data).hexdigest()[:24], 16)
        for keyword in missing:
            setattr(dataset, keyword, _REQUIRED[keyword] or f"2.25.{seed}.{len(keyword)}")
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        written = io.BytesIO()
        dataset.save_as(written, enforce_file_format=True)
        return written.getvalue()


def corpora() -> list[File]:
    """Each file once, however many packages carry it."""
    roots = {"pydicom": _OWN} | {folder.name: folder for folder in sorted(CORPORA.glob("*"))}
    seen: set[bytes] = set()
    found = []
    for package, root in roots.items():
        for path in sorted(root.rglob("*")):
            if not path.is_file() or path.suffix in {".py", ".js", ".pyc", ".md", ".map"}:
                continue
            file = File(f"{package}/{path.relative_to(root)}", path)
            digest = hashlib.sha256(file.data).digest()
            if file.is_dicom and digest not in seen:
                seen.add(digest)
                found.append(file)
    return found


def known() -> dict[str, dict[str, str]]:
    """For each file the checks that do not hold, each with its reason."""
    lists = tomllib.loads(Path(__file__).with_name("exceptions.toml").read_text(encoding="utf-8"))
    found: dict[str, dict[str, str]] = {}
    for entry in lists.get("exception", []):
        for name in entry["files"]:
            for check in entry["checks"]:
                found.setdefault(name, {})[check] = entry["reason"]
    return found
