"""The DICOMweb server that a migration reads from: any root URL, with tokens of its own (MIG-1)."""

import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from dicom_cli.configuration import Configuration, Value
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.service import Service
from dicom_cli.sign_in import Tokens

TOKEN: Final = "DICOM_SOURCE_TOKEN"  # noqa: S105 - the name of an environment variable
_VERSIONS: Final = ("v1", "v2")


class SourceService(Service):
    """Asks below the root that was given; never with the token of the destination."""

    def __init__(self, root: str, *, partition: str = "", token_command: str = "", scope: str = "") -> None:
        values = {"url": root.rstrip("/"), "partition": partition, "scope": scope, "token_command": token_command}
        configuration = Configuration(
            {name: Value(value, "option") for name, value in values.items()}, os.environ.get(TOKEN, "")
        )
        super().__init__(configuration, tokens=Tokens(configuration))
        self.url = root.rstrip("/")
        if self.url.rpartition("/")[2] in _VERSIONS:
            self.host, self.version = self.url.rpartition("/")[::2]
        else:
            self.host, self.version = self.url, ""
        self._prefix = f"/partitions/{quote(partition, safe='')}" if partition else ""

    def path(self, rest: str) -> str:
        """The path of a resource below the root, in the data partition if there is one."""
        return f"{self._prefix}/{rest}"

    def rows(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """The results of a search; none for 204 and for an empty answer. Raises CommandFailed."""
        answer = self.ask(
            "GET", self.path(path), query=query, headers={"Accept": "application/dicom+json"}, expect=(200, 204, 206)
        )
        found = answer.json() or []
        if not isinstance(found, list):
            raise CommandFailed("The source does not answer a search with a list.", ExitCode.SOME_FAILED)
        return found
