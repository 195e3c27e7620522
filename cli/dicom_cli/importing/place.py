"""The place of an import and who sends it, as for every command: option, environment, profile (CLI-6, CLI-7)."""

import argparse
from typing import Final
from urllib.parse import urlsplit

from dicom_cli.configuration import configured
from dicom_cli.importing.folder import Fatal
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.places import checkout
from dicom_cli.service import Service
from dicom_cli.sign_in import Tokens

_VERSION: Final = "v2"
_OPTIONS: Final = ("url", "partition", "scope", "token_command")


def settle(arguments: argparse.Namespace) -> Tokens:
    """Put in what was not said on the command line; the tokens of who is signed in. Raises CommandFailed, Fatal.

    Without an address the import container of this checkout's service takes the files; elsewhere, where there is no
    checkout, the service at the usual address.
    """
    configuration = configured({name: getattr(arguments, name) for name in _OPTIONS}, arguments.profile)
    to_container = arguments.account or arguments.connection
    if arguments.url:
        arguments.url = _with_version(arguments.url)
    elif not to_container and (configuration.values["url"].source != "default" or checkout() is None):
        arguments.url = f"{configuration.service_url}/{_VERSION}"
    arguments.partition = configuration["partition"]
    tokens = Tokens(configuration)
    if urlsplit(arguments.url).scheme == "https" and not arguments.token:
        _ask_once(Service(configuration, tokens=tokens), arguments.url)
    return tokens


def _with_version(url: str) -> str:
    """The base URL of an address: what has no path is the address of a service, as other commands take it."""
    return f"{url.rstrip('/')}/{_VERSION}" if urlsplit(url).path in ("", "/") else url


def _ask_once(service: Service, url: str) -> None:
    """Ask once before the first file: the refusal names the scope, and a certificate is trusted or not."""
    service.url = url.rstrip("/")
    try:
        service.ask("GET", f"{service.url}/studies", query={"limit": "1"}, headers={"Accept": "application/dicom+json"})
    except CommandFailed as failure:
        if failure.code is ExitCode.NOT_REACHABLE:  # who may store need not be allowed to search
            raise Fatal(str(failure), failure.code) from None
