"""The bearer token of an import: given, or printed by a command whenever a new one is needed."""

import asyncio
import shlex
import subprocess
from collections.abc import Mapping

from dicom_cli.importing.folder import Fatal


class Token:
    """A bearer token. Without token and command nothing is sent."""

    def __init__(self, token: str = "", command: str = "") -> None:
        self._token = token
        self._command = command

    @property
    def renewable(self) -> bool:
        """Whether a command can print another one."""
        return bool(self._command)

    async def headers(self) -> Mapping[str, str]:
        """The header that says who sends a request. Raises Fatal when the command fails."""
        if not self._token and self._command:
            await self.renew()
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def renew(self) -> None:
        """Have the command print a new token. Raises Fatal."""
        command = shlex.split(self._command)
        try:
            done = await asyncio.to_thread(
                subprocess.run, command, check=True, capture_output=True, text=True, timeout=120
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise Fatal(f"The token command failed: {type(error).__name__}") from None
        self._token = done.stdout.strip()
