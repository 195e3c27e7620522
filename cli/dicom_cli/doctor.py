"""`dicom doctor`: what keeps this machine from using the service, and the remedy; `dicom config show` (CLI-6)."""

import argparse
import sys
from collections.abc import Callable
from typing import Final

from dicom_cli.configuration import Configuration, configuration_file
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.output import Output
from dicom_cli.service import JSON, Service

EXAMPLE: Final = "  dicom doctor --url https://dicom.example.org\n"


def show(configuration: Configuration, output: Output) -> ExitCode:
    """Print every value and where it came from; a token is not printed."""
    rows = [{"name": name, "value": value.text, "source": value.source} for name, value in configuration.values.items()]
    rows.append(
        {
            "name": "token",
            "value": "set" if configuration.token else "",
            "source": "DICOM_TOKEN" if configuration.token else "default",
        }
    )
    output.table(rows, ("name", "value", "source"))
    output.say(f"Profiles: {configuration_file()}")
    return ExitCode.DONE


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options of `dicom doctor`: none of its own."""
    del parser


def run(_arguments: argparse.Namespace, service: Service, output: Output) -> ExitCode:
    """Try one thing after the other; each rules out a cause of the next. Raises nothing: what fails is said."""
    steps: tuple[tuple[str, Callable[[Service], str]], ...] = (
        ("Python", _python),
        ("the service answers", _health),
        ("sign-in and a search", _search),
    )
    for name, step in steps:
        try:
            told = step(service)
        except CommandFailed as failure:
            output.item({"check": name, "ok": False, "says": str(failure)}, f"FAILED  {name}: {failure}")
            return failure.code
        output.item({"check": name, "ok": True, "says": told}, f"ok      {name}: {told}")
    return ExitCode.DONE


def _python(_service: Service) -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _health(service: Service) -> str:
    health = service.ask("GET", "/health/check", headers={"Accept": JSON}, expect=(200, 503)).json()
    if not isinstance(health, dict) or "overallStatus" not in health:
        raise CommandFailed(f"{service.url} answers, and is no DICOM service of this kind.", ExitCode.NOT_FOUND)
    return f"{service.url} is {str(health['overallStatus']).lower()}"


def _search(service: Service) -> str:
    service.ask("GET", service.path("studies"), query={"limit": "1"}, headers={"Accept": "application/dicom+json"})
    return "allowed"
