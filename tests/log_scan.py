"""A pytest plugin: no log that the tests made names one of their patients (TEL-2), else the run fails.

Each service of `devhost.testing` writes its log to one folder: what the host, its workers and the app in them say, with
the lines that Azure would keep and more. So does each process that runs tests, with what the product's loggers say in
it. When all tests have ended, the folder is searched for the values that identify the tests' patients: those in
pydicom's sample files, and those that stand in the tests' own sources beside the name of an identifying attribute. The
audit trail is left out: it holds the URIs of requests on purpose (AUD-2).
"""

import ast
import json
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pydicom
import pytest
from pydicom.data import get_charset_files, get_testdata_files
from pydicom.dataset import Dataset

from devhost.testing import LOG_FOLDER

TESTS = Path(__file__).parent
AUDIT = " dicom.audit: "
IDENTIFYING = {
    "PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "OtherPatientNames", "PatientAddress",
    "AccessionNumber", "ReferringPhysicianName", "PatientComments", "PatientTelephoneNumbers", "PatientBirthName",
}  # fmt: skip  # a table
"""Attributes whose values tell who somebody is."""
_IN_SOURCES = {
    "PATIENT_NAME": "PatientName",
    "PATIENT_ID": "PatientID",
    "00100010": "PatientName",
    "00100020": "PatientID",
}
_OURS = ("dicom", "devhost")
"""Loggers of the product, by their first names."""
_SHORTEST = 3
"""Characters of a value that is looked for. Shorter ones, as P1, stand in many a line that means nothing by them."""
_WORDS = IDENTIFYING | {
    "Alphabetic", "Ideographic", "Phonetic", "Value", "Anonymous", "Anonymized", "New", "Old", "Other", "Name", "First",
    "Last", "Second", "Test", "One", "Retrieve", "Replaced", "Feed", "Ref", "NOBODY", "STUCK",
}  # fmt: skip  # a table
"""What tests call patients, too, and what other lines say."""
_UID = r"2\.25\.[0-9]{20,}"
"""The UIDs that tests make. Telemetry hashes them (TEL-3)."""
_CREDENTIAL = r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}|shr_[\w-]{16,}"
"""Bearer tokens, and tokens of shares."""
_ANYTHING = r"[^\s\"]{0,40}?"
_ORDINARY = re.compile(r"[a-z_]+|[A-Za-z]?[0-9]{1,7}|[A-Z]{1,3}|\W+")
"""Words in small letters, abbreviations and small numbers: no finding, for any line may hold them."""


_SPELLINGS = (str, quote, lambda text: json.dumps(text)[1:-1], lambda text: ascii(text)[1:-1])
"""As it is, as in a URL, in JSON and in the representation of a string."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A line of a log that names somebody."""

    file: str
    number: int
    value: str
    line: str


def patterns(value: str | list[str]) -> Iterator[str]:
    """The expressions of a value and of each part of a name; of a list its constant pieces with anything between.

    There are none for what says too little.
    """
    if isinstance(value, str):
        wholes = {value.strip(), *map(str.strip, re.split(r"[\^=\\]", value))}
        found = [[whole] for whole in wholes if len(whole) >= _SHORTEST]
    else:
        found = [value] if "^" in "".join(value) and len("".join(value)) > _SHORTEST else []
    for pieces in found:
        said = "".join(pieces)
        if said not in _WORDS and not _ORDINARY.fullmatch(said) and not set(said) & set("*?"):
            spellings = {_ANYTHING.join(re.escape(spelt(piece)) for piece in pieces) for spelt in _SPELLINGS}
            yield rf"(?<![\w.-])(?:{'|'.join(sorted(spellings))})(?![\w-])"


def values_in_sources(folder: Path) -> Iterator[str | list[str]]:
    """What the Python files of a folder give to identifying attributes by keyword, in a dictionary, by assignment."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.keyword(arg=str(name), value=value):
                    yield from _texts(name, value)
                case ast.Assign(targets=[ast.Attribute(attr=name)], value=value):
                    yield from _texts(name, value)
                case ast.Dict(keys=keys, values=values):
                    for key, value in zip(keys, values, strict=True):
                        name = (
                            key.value if isinstance(key, ast.Constant) else getattr(key, "id", getattr(key, "attr", ""))
                        )
                        yield from _texts(str(name), value)


def _texts(name: str, value: ast.expr) -> Iterator[str | list[str]]:
    if _IN_SOURCES.get(name, name) not in IDENTIFYING:
        return
    for node in ast.walk(value):
        if isinstance(node, ast.JoinedStr):
            yield [piece.value if isinstance(piece, ast.Constant) else "" for piece in node.values]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def values_in_samples() -> Iterator[str]:
    """What pydicom's sample files say of their patients, in sequences too."""
    for name in (*get_testdata_files("**/*.dcm"), *get_charset_files("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # samples are odd on purpose
            yield from _identifying(pydicom.dcmread(name, force=True, stop_before_pixels=True))


def _identifying(dataset: Dataset) -> Iterator[str]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _identifying(item)
        elif element.keyword in IDENTIFYING:
            values = element.value if element.VM > 1 else [element.value]
            yield from (str(value).strip() for value in values)


def searched(values: Iterator[str | list[str]]) -> re.Pattern[str]:
    """One expression for all values that say enough, for UIDs, and for credentials."""
    sought = {pattern for value in values for pattern in patterns(value)}
    return re.compile("|".join([rf"(?<![\w.]){_UID}(?!\w)", _CREDENTIAL, *sorted(sought)]))


def findings(folder: Path, sought: re.Pattern[str]) -> list[Finding]:
    """The lines of the logs in a folder that hold what is sought, but for the audit trail."""
    return [
        Finding(path.name, number, match.group(), line)
        for path in sorted(folder.glob("*.log"))
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if AUDIT not in line and (match := sought.search(line))
    ]


class InProcess(logging.FileHandler):
    """What the product logs in a process that runs tests. Tests of what is logged have samples of their own, which they
    log by loggers with other names.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / f"tests-{os.getpid()}.log", encoding="utf-8", errors="replace", delay=True)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self.addFilter(lambda record: record.name.partition(".")[0] in _OURS)


class LogScan:
    """The folder of the logs of one run."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="service-logs-"))
        self.found: list[Finding] = []
        os.environ[LOG_FOLDER] = str(self.folder)
        os.environ.setdefault("DEVHOST_LOG_LEVEL", "INFO")  # as on Azure: what is not written cannot be searched

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """The search; a finding fails a run that would have passed."""
        if any(self.folder.glob("*.log")):
            self.found = findings(self.folder, searched(iter([*values_in_sources(TESTS), *values_in_samples()])))
            if self.found and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        shutil.rmtree(self.folder)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The lines that were found."""
        if self.found:
            terminalreporter.section("patients in the log of the service", red=True)
            for one in self.found[:50]:
                terminalreporter.line(f"{one.file}:{one.number}: {one.value!r} in {one.line[:300]}")
            terminalreporter.line(f"{len(self.found)} lines")


def pytest_configure(config: pytest.Config) -> None:
    """One scan for a run; the processes of pytest-xdist inherit its folder."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(LogScan(), "log scan")
    handler = InProcess(Path(os.environ[LOG_FOLDER]))
    logging.getLogger().addHandler(handler)
    config.add_cleanup(lambda: _stop(handler))


def _stop(handler: logging.Handler) -> None:
    logging.getLogger().removeHandler(handler)
    handler.close()
