"""One run of the program: which files are left, sending them, and asking the service what it has."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from dicom_cli.importing.container import ContainerSender, Waiting
from dicom_cli.importing.folder import Fatal, LocalFile, Verdict
from dicom_cli.importing.identifiers import Identifiers, identifiers
from dicom_cli.importing.journal import Journal
from dicom_cli.importing.progress import Progress
from dicom_cli.importing.report import StudyReport
from dicom_cli.importing.service import Service
from dicom_cli.importing.stow import StowSender

_UPLOADED_AHEAD: Final = 5000
"""Uploaded files of which nothing is known; more wait on this machine."""
_HEADERS_AT_ONCE: Final = 256


@dataclass(slots=True)
class Run:
    """The progress of a run: the outcome of the files so far."""

    journal: Journal
    progress: Progress
    verdicts: dict[str, tuple[LocalFile, Verdict]] = field(default_factory=dict)
    """By name."""
    earlier: set[str] = field(default_factory=set)
    """Names of the files that an earlier run has done."""

    def settle(self, file: LocalFile, verdict: Verdict) -> None:
        """This has become of a file."""
        self.journal.note(file, verdict)
        self.verdicts[file.name] = (file, verdict)
        self.progress.done(verdict.state)

    def settle_earlier(self, file: LocalFile, verdict: Verdict) -> None:
        """The same, where the journal knows."""
        self.verdicts[file.name] = (file, verdict)
        self.earlier.add(file.name)
        self.progress.earlier(verdict.state)

    def files(self, *states: str) -> list[LocalFile]:
        """The files of which this has become."""
        return [file for file, verdict in self.verdicts.values() if verdict.state in states]

    def count(self, *states: str) -> int:
        """How many they are."""
        return len(self.files(*states))


async def headers(files: Sequence[LocalFile]) -> list[tuple[LocalFile, Identifiers | None]]:
    """The files with what they say they are, in threads."""
    found: list[tuple[LocalFile, Identifiers | None]] = []
    for at in range(0, len(files), _HEADERS_AT_ONCE):
        some = files[at : at + _HEADERS_AT_ONCE]
        found += zip(some, await asyncio.to_thread(_identifiers, some), strict=True)
    return found


def _identifiers(files: Sequence[LocalFile]) -> list[Identifiers | None]:
    return [identifiers(file) for file in files]


def by_study(files: Iterable[tuple[LocalFile, Identifiers | None]]) -> dict[str, StudyReport]:
    """A report of each study; files that cannot be read stand under the study without UID."""
    studies: dict[str, StudyReport] = {}
    for file, said in files:
        study = said.study if said else ""
        report = studies.setdefault(study, StudyReport(study))
        report.files += 1
        report.length += file.length
        if said is not None:
            report.series.add(said.series)
            report.modalities |= {said.modality} - {""}
    return studies


async def missing(service: Service, files: Sequence[LocalFile], studies: dict[str, StudyReport]) -> list[LocalFile]:
    """Those of `files` that the service does not have; `studies` is told. Raises Fatal where it does not tell."""
    wanted: dict[str, list[tuple[LocalFile, str]]] = {}
    for file, said in await headers(files):
        if said is not None and said.complete:
            wanted.setdefault(said.study, []).append((file, said.sop_instance))
    lost: list[LocalFile] = []
    for study, its in wanted.items():
        there = await service.instances(study)
        gone = [file for file, sop_instance in its if sop_instance not in there]
        report = studies.setdefault(study, StudyReport(study))
        report.there, report.missing = len(there), len(gone)
        lost += gone
    return lost


def left_of(run: Run, files: Sequence[LocalFile], *, again: bool) -> list[LocalFile]:
    """The files of which the journal does not know what became of them; the others are settled."""
    left: list[LocalFile] = []
    for file in files:
        verdict = run.journal.verdict(file)
        if verdict is None or (verdict.state == "refused" and again):
            left.append(file)
        else:
            run.settle_earlier(file, verdict)
    return left


async def _each(files: Sequence[LocalFile], concurrency: int, send: Callable[[LocalFile], Awaitable[None]]) -> None:
    """Send the files, so many at a time. Raises what ends it all."""
    waiting = iter(files)

    async def work() -> None:
        for file in waiting:
            await send(file)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(files))):
                group.create_task(work())
    except* Fatal as group_error:
        raise group_error.exceptions[0] from None


async def send_over_stow(run: Run, files: Sequence[LocalFile], sender: StowSender, concurrency: int) -> int:
    """Send `files`. Returns the number of those of which nothing is known in the end: none."""

    async def send(file: LocalFile) -> None:
        run.settle(file, await sender.send(file))

    try:
        await _each(files, concurrency, send)
    finally:
        await sender.close()
    return 0


async def send_through_container(
    run: Run, files: Sequence[LocalFile], sender: ContainerSender, concurrency: int, patience: float
) -> int:
    """Send `files`. Returns the number of those of which nothing is known in the end.

    `patience`: seconds without any result after which it ends.
    """
    waiting = Waiting(sender, run.settle)
    uploading = True
    heard = time.monotonic()

    async def upload(file: LocalFile) -> None:
        while len(waiting) >= _UPLOADED_AHEAD:  # noqa: ASYNC110 - what is awaited happens in the service
            await asyncio.sleep(0.2)
        verdict = await sender.upload(file)
        if verdict is not None:
            run.settle(file, verdict)
            return
        run.journal.note_upload(file)
        run.progress.uploaded()
        waiting.add(file)

    async def listen() -> None:
        nonlocal heard
        while uploading or len(waiting):
            if await waiting.step() or uploading:
                heard = time.monotonic()
            elif time.monotonic() - heard > patience:
                return
            run.progress.tick()

    try:
        await sender.open()
        listener = asyncio.create_task(listen())
        try:
            for file in files:
                if run.journal.is_uploaded(file):
                    run.progress.uploaded()
                    waiting.add(file)
            await _each([file for file in files if not run.journal.is_uploaded(file)], concurrency, upload)
            uploading = False
            await listener
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
    finally:
        await sender.close(finished=not uploading and not len(waiting))
    return len(waiting)


def states(run: Run, said: Iterable[tuple[LocalFile, Identifiers | None]], studies: dict[str, StudyReport]) -> None:
    """Tell the report of each study what became of its files."""
    for file, one in said:
        verdict = run.verdicts.get(file.name)
        if verdict is not None:
            studies[one.study if one else ""].states[verdict[1].state] += 1


def passed_over_by_reason(reasons: Iterable[str]) -> str:
    """How many files were passed over, and why, in words."""
    return ", ".join(f"{reason} ({count:,})" for reason, count in Counter(reasons).most_common())
