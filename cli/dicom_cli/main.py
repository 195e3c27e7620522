"""The command `dicom`: what was asked for, where, and how it ends (exchange §9).

A command is imported when it is asked for, so that `--help` is quick.
"""

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dicom_cli import __version__
from dicom_cli.outcomes import CommandFailed, ExitCode


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the service: a module with `add_to` (its options), `run` (its work) and `EXAMPLE`."""

    text: str
    module: str


COMMANDS: Final[Mapping[str, Command]] = {
    "search": Command("find studies, series and instances", "search"),
    "get": Command("fetch studies, series, instances, frames, metadata, pictures, zip archives", "get"),
    "export": Command("copy into a container of Azure Blob Storage", "export"),
    "tags": Command("make further attributes searchable", "tags"),
    "worklist": Command("find, create, claim, complete and cancel workitems", "worklist"),
    "cast": Command("look after DICOMcast, which writes into a FHIR server", "cast"),
    "cohort": Command("find patients by clinical data and images, in words or by definition", "cohort"),
    "labels": Command("label studies, and see which labels there are", "labels"),
    "migrate": Command("move an archive to the service", "migrate.options"),
    "share": Command("links that open studies to whoever has them", "share"),
    "feedback": Command("what became of reads and of predictions", "feedback"),
    "erase": Command("erase all that is stored of a patient", "erase"),
    "access-report": Command("who did what with the data of a patient", "access_report"),
    "doctor": Command("what keeps this machine from using the service", "doctor"),
}
PROGRAMS: Final[Mapping[str, tuple[str, str]]] = {
    "import": ("send files and folders", "dicom_cli.importing.__main__"),
    "smoke": ("check a deployed service from outside", "dicom_cli.smoke.__main__"),
}
"""Commands that read their options themselves."""


def main(given: Sequence[str] | None = None) -> int:
    """Run the program; its exit code."""
    words = list(sys.argv[1:] if given is None else given)
    try:
        code = _program(words) if words and words[0] in PROGRAMS else _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        _end_output()
        return ExitCode.DONE
    except CommandFailed as failure:
        print(failure, file=sys.stderr)
        return failure.code
    except OSError as failure:
        print(f"A file cannot be read or written: {failure}", file=sys.stderr)
        return ExitCode.SOME_FAILED
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return ExitCode.INTERRUPTED
    return code


def _end_output() -> None:
    """The end of an output of which its reader has had enough, as `head` has: the rest goes nowhere."""
    with contextlib.suppress(OSError, ValueError):  # there is no such file where the output is kept in memory
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _program(words: Sequence[str]) -> int:
    program: Callable[[Sequence[str]], int] = importlib.import_module(PROGRAMS[words[0]][1]).main
    return program(words[1:])


def _run(words: Sequence[str]) -> int:
    common = common_options()
    arguments, words = common.parse_known_args(words)
    name = next((word for word in words if not word.startswith("-")), "")
    parser = parser_for(name)
    given, words = _keywords(words)
    arguments, rest = parser.parse_known_args(words, arguments)
    allowed = getattr(arguments, "keywords", False)
    if given and not allowed:
        parser.error(f"unrecognized arguments: --{given[0][0]}")
    arguments.given = [*given, *_behind_options(rest, parser, allowed=allowed)]
    if arguments.command is None:
        parser.print_help()
        return ExitCode.WRONG_USE
    if arguments.command == "completion":
        from dicom_cli.completion import script

        print(script(arguments.shell))
        return ExitCode.DONE
    from dicom_cli.configuration import configured
    from dicom_cli.output import Output

    output = Output(as_json=arguments.json, quiet=arguments.quiet)
    options = {each: getattr(arguments, each) for each in ("url", "partition", "scope", "token_command")}
    configuration = configured(options, arguments.profile)
    if arguments.command == "config":
        from dicom_cli.doctor import show

        return show(configuration, output)
    from dicom_cli.service import Service

    command = COMMANDS[arguments.command]
    work: Callable[[argparse.Namespace, Service, Output], ExitCode] = _module(command).run
    return work(arguments, Service(configuration), output)


def parser_for(name: str) -> argparse.ArgumentParser:
    """The parser, with the options of the command `name`; the others are listed only."""
    parser = argparse.ArgumentParser(
        prog="dicom", description="One command for a DICOM service.", epilog="`dicom COMMAND --help` has examples."
    )
    parser.add_argument("--version", action="version", version=f"dicom {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for each, (text, _) in PROGRAMS.items():
        commands.add_parser(each, help=text, add_help=False)
    for each, command in COMMANDS.items():
        chosen = each == name
        module = _module(command) if chosen else None
        added = commands.add_parser(
            each,
            help=command.text,
            description=command.text[0].upper() + command.text[1:] + ".",
            epilog=f"{common_options().format_help().partition('\n\n')[2]}\nexamples:\n{module.EXAMPLE}"
            if module
            else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if module:
            module.add_to(added)
    config = commands.add_parser("config", help="where each value comes from")
    config.add_argument("action", choices=("show",), nargs="?", default="show")
    completion = commands.add_parser("completion", help="a script that completes commands in a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    return parser


def common_options() -> argparse.ArgumentParser:
    """The options of every command, which may stand anywhere."""
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    group = common.add_argument_group("the service")
    group.add_argument("--url", help="of the service (DICOM_URL)")
    group.add_argument("--partition", help="data partition (DICOM_PARTITION)")
    group.add_argument("--scope", help="what to sign in for (DICOM_SCOPE)")
    group.add_argument(
        "--token-command", help="prints a bearer token (DICOM_TOKEN_COMMAND; a token itself: DICOM_TOKEN)"
    )
    group.add_argument("--profile", default="", help="of the configuration file")
    group = common.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="a JSON object a line")
    group.add_argument("--quiet", action="store_true", help="results only")
    return common


def _module(command: Command) -> Any:
    return importlib.import_module(f"dicom_cli.{command.module}")


def _keywords(words: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Matching keys, `--Keyword value` or `--Keyword=value`, and the other words: options begin in lower case, and a
    value may look like anything, so keys are taken out before options are read.
    """
    found: list[tuple[str, str]] = []
    others: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not _is_keyword(name) or (not equals and not left):
            others.append(word)
        else:
            found.append((name, value if equals else left.pop(0)))
    return found, others


def _is_keyword(name: str) -> bool:
    return name[:1].isupper() or name[:1].isdigit()


def _behind_options(rest: Sequence[str], parser: argparse.ArgumentParser, *, allowed: bool) -> list[tuple[str, str]]:
    """`Keyword=value` behind an option, where argparse reads no positional arguments any more."""
    found: list[tuple[str, str]] = []
    for word in rest:
        name, equals, value = word.partition("=")
        if not allowed or not equals or not _is_keyword(name):
            parser.error(f"unrecognized arguments: {word}")
        found.append((name, value))
    return found
