"""The work of `dicom import`: a folder of DICOM files is sent (docs/operate/import.md)."""

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from dicom_cli.importing.container import ContainerSender
from dicom_cli.importing.folder import Fatal, LocalFile, PassedOver, files_of
from dicom_cli.importing.journal import Journal
from dicom_cli.importing.options import MANY
from dicom_cli.importing.place import settle
from dicom_cli.importing.progress import Progress
from dicom_cli.importing.report import StudyReport, write_report
from dicom_cli.importing.run import (
    Run,
    by_study,
    headers,
    left_of,
    missing,
    passed_over_by_reason,
    send_over_stow,
    send_through_container,
    states,
)
from dicom_cli.importing.stow import StowSender
from dicom_cli.importing.target import Target, find_target
from dicom_cli.outcomes import CommandFailed
from dicom_cli.output import Output
from dicom_cli.sign_in import Tokens

_LISTED: Final = 20


def _checked(arguments: argparse.Namespace) -> list[Path]:
    """The places to be sent, once they have been checked."""
    if not all(path.strip() for path in arguments.paths):
        raise Fatal("Name the folder: make import DIR=/path/to/folder")
    paths = [Path(path).expanduser() for path in arguments.paths]
    for path in paths:
        if not path.is_dir() and not path.is_file():
            raise Fatal(f"{path} is no folder.")
    if arguments.report and len(paths) > 1:
        raise Fatal("--report goes with one folder.")
    if arguments.concurrency < 1:
        raise Fatal("--concurrency is at least 1.")
    return paths


def _selected(arguments: argparse.Namespace) -> tuple[list[LocalFile], list[PassedOver]]:
    files: list[LocalFile] = []
    passed_over: list[PassedOver] = []
    for file in files_of(arguments.folder, everything=arguments.everything, archives=arguments.zip):
        if isinstance(file, LocalFile):
            files.append(file)
        else:
            passed_over.append(file)
    return files, passed_over


def _confirm(arguments: argparse.Namespace, files: Sequence[LocalFile]) -> None:
    if len(files) <= MANY or arguments.yes or not sys.stdin.isatty():
        return
    if input(f"Send {len(files):,} files from {arguments.folder.resolve()}? [y/N] ").strip().lower() not in (
        "y",
        "yes",
    ):
        raise Fatal("Nothing was sent.")


async def _dry_run(
    arguments: argparse.Namespace, target: Target, files: Sequence[LocalFile], passed_over: Sequence[PassedOver]
) -> int:
    said = await headers(files)
    studies = by_study(said)
    if target.service is not None:
        await missing(target.service, files, studies)
    for report in sorted(studies.values(), key=lambda one: one.study):
        row = report.row()
        there = "" if report.there is None else f", {report.files - (report.missing or 0):,} of them there"
        print(
            f"{row['study']}: {row['modalities'] or 'no modality'}, {row['series']} series, "
            f"{_number(report.files, 'file')}, {report.length / 1e6:,.1f} MB{there}"
        )
    print(f"{_number(len(files), 'file')} of {_number(len(studies), 'study', 'studies')} would be sent.")
    without = sum(one is not None and not one.has_patient for _, one in said)
    for count, text in (
        (without, "have no PatientID and would be refused"),
        (sum(one is None or not one.complete for _, one in said), "have no readable UIDs and would be refused"),
        (sum(file.lacks is not None for file in files), "lack preamble or file meta information, which would be added"),
    ):
        if count:
            print(f"{count:,} {text}.")
    _say_passed_over(passed_over)
    if arguments.results:
        for report in studies.values():
            arguments.results.item(report.row())
    if arguments.report:
        write_report(arguments.report, studies.values())
    return 0


async def _verify_earlier(run: Run, target: Target, left: list[LocalFile]) -> None:
    """Verify files of an earlier run: only those that the service has count as stored, the others are sent again."""
    claimed = run.files("stored", "duplicate")
    if not claimed:
        return
    if target.service is None:
        print(f"{_number(len(claimed), 'file')} of an earlier run not verified: name the service with --service.")
        return
    for file in await missing(target.service, claimed, {}):
        run.journal.note_missing(file)
        _, verdict = run.verdicts.pop(file.name)
        run.earlier.discard(file.name)
        run.progress.undone(verdict.state)
        left.append(file)


async def _send(arguments: argparse.Namespace, run: Run, target: Target, left: Sequence[LocalFile]) -> int:
    if target.clients is None:
        sender = StowSender(
            arguments.url, partition=arguments.partition, token=target.token, concurrency=arguments.concurrency
        )
        return await send_over_stow(run, left, sender, arguments.concurrency)
    container = ContainerSender(
        *target.clients,
        container=arguments.container,
        error_container=arguments.error_container,
        import_id=run.journal.id,
        partition=arguments.partition,
    )
    return await send_through_container(run, left, container, arguments.concurrency, arguments.patience)


async def _import(
    arguments: argparse.Namespace, target: Target, files: Sequence[LocalFile], passed_over: Sequence[PassedOver]
) -> int:
    begun = time.monotonic()
    journal = Journal.of(arguments.journals, arguments.folder, target.name, restart=arguments.restart)
    if journal.begun:
        print(f"Going on with the import of {journal.begun}; --restart forgets it.")
    for one in passed_over:
        journal.note_passed_over(one)
    run = Run(journal, Progress(len(files), shown=not arguments.quiet))
    left = left_of(run, files, again=arguments.again)
    unknown = len(left)
    lost: list[LocalFile] = []
    try:
        await _verify_earlier(run, target, left)
        unknown = await _send(arguments, run, target, left) if left else 0
        studies = await _study_reports(arguments, run, files)
        if arguments.verify:
            if target.service is None:
                raise Fatal("There is no address to verify at: name the service with --service.")
            lost = await missing(target.service, run.files("stored", "duplicate"), studies)
        if arguments.report:
            write_report(arguments.report, studies.values())
    finally:
        run.progress.close()
        journal.close()
    _summarize(run, passed_over, unknown, time.monotonic() - begun)
    if arguments.results:
        _tell(arguments.results, run, passed_over, unknown, lost if arguments.verify else None)
    if arguments.verify:
        print(f"{_number(run.count('stored', 'duplicate') - len(lost), 'file')} verified to be there.")
        for file in lost[:_LISTED]:
            print(f"missing: {file.name}")
    return 1 if run.count("refused") or unknown or lost else 0


async def _study_reports(arguments: argparse.Namespace, run: Run, files: Sequence[LocalFile]) -> dict[str, StudyReport]:
    if not arguments.report:
        return {}
    said = await headers(files)
    studies = by_study(said)
    states(run, said, studies)
    return studies


def _summarize(run: Run, passed_over: Sequence[PassedOver], unknown: int, seconds: float) -> None:
    stored, duplicates, refused = (run.count(state) for state in ("stored", "duplicate", "refused"))
    print(
        f"{_number(stored + duplicates + refused, 'file')} in {seconds:,.0f} s: {stored:,} stored, "
        f"{_number(duplicates, 'duplicate')}, {refused:,} refused."
    )
    if run.earlier:
        print(f"{len(run.earlier):,} of them were done in an earlier run.")
    completed = [(file, verdict) for file, verdict in run.verdicts.values() if verdict.added]
    if completed:
        print(f"{_number(len(completed), 'file')} stored with what was lacking:")
        for file, verdict in completed[:_LISTED]:
            print(f"added: {file.name}: {verdict.added}")
    _say_passed_over(passed_over)
    if unknown:
        print(f"{_number(unknown, 'file')} still being imported. Run it again to see what becomes of them.")
    failed = [(file, verdict) for file, verdict in run.verdicts.values() if verdict.state == "refused"]
    for file, verdict in failed[:_LISTED]:
        print(f"refused: {file.name}: {verdict.reason}")
    if len(failed) > _LISTED or len(passed_over) > _LISTED:
        print(f"All of them: {run.journal.path}")


def _tell(
    results: Output, run: Run, passed_over: Sequence[PassedOver], unknown: int, lost: Sequence[LocalFile] | None
) -> None:
    """An object for each file, and one with the sums at the end."""
    for file, verdict in run.verdicts.values():
        more = {"reason": verdict.reason, "added": verdict.added}
        results.item(
            {"file": file.name, "outcome": verdict.state, **{name: text for name, text in more.items() if text}}
        )
    for one in passed_over:
        results.item({"file": one.name, "outcome": "passed over", "reason": one.reason})
    sums: dict[str, object] = {each: run.count(each) for each in ("stored", "duplicate", "refused")}
    sums |= {"passedOver": len(passed_over), "unknown": unknown}
    if lost is not None:
        sums["missing"] = [file.name for file in lost]
    results.item({"sums": sums})


def _say_passed_over(passed_over: Sequence[PassedOver]) -> None:
    if not passed_over:
        return
    reasons = passed_over_by_reason(one.reason for one in passed_over)
    print(f"{_number(len(passed_over), 'file')} passed over: {reasons}.")
    for one in passed_over[:_LISTED]:
        print(f"passed over: {one.name}: {one.reason}")


def _number(count: int, singular: str, plural: str = "") -> str:
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


async def _run(arguments: argparse.Namespace, tokens: Tokens) -> int:
    files, passed_over = _selected(arguments)
    target = await find_target(arguments, tokens)
    try:
        if arguments.dry_run:
            return await _dry_run(arguments, target, files, passed_over)
        _confirm(arguments, files)
        return await _import(arguments, target, files, passed_over)
    finally:
        await target.close()


@contextlib.contextmanager
def _results(arguments: argparse.Namespace) -> Iterator[None]:
    """With --json standard output has JSON alone, and what people read is a message (CLI-4)."""
    arguments.results = Output(as_json=True, quiet=arguments.quiet, stream=sys.stdout) if arguments.json else None
    if not arguments.json:
        yield
        return
    with contextlib.ExitStack() as said:
        people = said.enter_context(Path(os.devnull).open("w", encoding="utf-8")) if arguments.quiet else sys.stderr
        said.enter_context(contextlib.redirect_stdout(people))
        yield


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked; the answer is the exit code (CLI-5)."""
    code = 0
    try:
        with _results(arguments):
            paths = _checked(arguments)
            tokens = settle(arguments)
            for path in paths:
                arguments.folder = path
                code = max(code, asyncio.run(_run(arguments, tokens)))
    except (Fatal, CommandFailed) as error:
        print(error, file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("\nInterrupted. Run it again to go on.", file=sys.stderr)
        return 130
    return code
