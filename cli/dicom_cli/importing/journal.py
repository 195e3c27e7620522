"""The journal of earlier runs, a line of JSON for each step, so that a run that was cut off can be taken up again.

A journal belongs to one folder and one store: an address alone does not say what is there.
"""

import json
import secrets
import time
from hashlib import sha256
from pathlib import Path
from typing import Any, Self, TextIO

from dicom_cli.importing.folder import LocalFile, PassedOver, Verdict

_STATES = {"stored", "duplicate", "refused"}


class Journal:
    """The journal of one folder and one target. What is noted survives the end of the program."""

    def __init__(self, path: Path, target: str, *, restart: bool = False) -> None:
        """`restart`: what earlier runs noted is forgotten."""
        self.path = path
        self.begun = ""
        """The day and time of the first run, if there was an earlier one."""
        self._entries: dict[str, dict[str, Any]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if restart:
            path.unlink(missing_ok=True)
        self.id = self._read(target)
        self._file: TextIO = path.open("a", encoding="utf-8")
        if not self.id:
            self.id = secrets.token_hex(6)
            self._append({"target": target, "id": self.id, "begun": time.strftime("%Y-%m-%d %H:%M")})

    @classmethod
    def of(cls, directory: Path, folder: Path, target: str, *, restart: bool = False) -> Self:
        """The journal in `directory` for sending `folder` to `target`, which names the store as well."""
        digest = sha256(f"{folder.resolve()}\n{target}".encode()).hexdigest()[:16]
        return cls(directory / f"{digest}.jsonl", target, restart=restart)

    def verdict(self, file: LocalFile) -> Verdict | None:
        """The outcome of a file, if it has not changed since."""
        entry = self._entry(file)
        if entry is None or entry["state"] not in _STATES:
            return None
        return Verdict(entry["state"], entry.get("reason", ""), entry.get("added", ""))

    def is_uploaded(self, file: LocalFile) -> bool:
        """Whether a file has been uploaded, has not changed since, and what became of it is not known."""
        entry = self._entry(file)
        return entry is not None and entry["state"] == "uploaded"

    def note_upload(self, file: LocalFile) -> None:
        """A file is in the import container."""
        self._note(file, {"state": "uploaded"})

    def note(self, file: LocalFile, verdict: Verdict) -> None:
        """This has become of a file."""
        more = {"reason": verdict.reason, "added": verdict.added}
        self._note(file, {"state": verdict.state, **{name: text for name, text in more.items() if text}})

    def note_missing(self, file: LocalFile) -> None:
        """A file that was stored is not there any more."""
        self._note(file, {"state": "missing"})

    def note_passed_over(self, file: PassedOver) -> None:
        """A file is not sent."""
        entry = {"name": file.name, "state": "passed over", "reason": file.reason}
        if self._entries.get(file.name) != entry:
            self._entries[file.name] = entry
            self._append(entry)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _note(self, file: LocalFile, what: dict[str, str]) -> None:
        entry = {"name": file.name, "length": file.length, "modified": file.modified, **what}
        self._entries[file.name] = entry
        self._append(entry)

    def _entry(self, file: LocalFile) -> dict[str, Any] | None:
        entry = self._entries.get(file.name)
        same = entry is not None and (entry.get("length"), entry.get("modified")) == (file.length, file.modified)
        return entry if same else None

    def _append(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def _read(self, target: str) -> str:
        """The id of the journal, '' if it is new. A line that a killed run has not finished is passed over."""
        found = ""
        if not self.path.exists():
            return found
        text = self.path.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("target") == target:
                found, self.begun = str(entry["id"]), str(entry.get("begun", ""))
            elif "name" in entry:
                self._entries[entry["name"]] = entry
        if text and not text.endswith("\n"):
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n")
        return found
