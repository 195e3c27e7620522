"""Bearer tokens: given, printed by a command, or of azure-identity (CLI-7)."""

import shlex
import subprocess
import time
from typing import Any, Final

from dicom_cli.configuration import Configuration
from dicom_cli.outcomes import CommandFailed, ExitCode

_COMMAND_SECONDS: Final = 120
_COMMAND_LIFE: Final = 600.0
"""A token of a command says not how long it lives: the command is asked again after ten minutes."""
_MARGIN: Final = 120.0


class Tokens:
    """The tokens of one run. Without token, command and scope nothing is sent, until the service asks for a token."""

    def __init__(self, configuration: Configuration) -> None:
        self._given = _checked(configuration.token, "DICOM_TOKEN")
        self._command = configuration["token_command"]
        self.scope = configuration["scope"]
        self._token = ""
        self._until = 0.0
        self._credential: Any = None

    @property
    def renewable(self) -> bool:
        """Whether another token can be had."""
        return not self._given and bool(self._command or self.scope)

    def current(self) -> str:
        """A token; '' where none is configured. Raises CommandFailed."""
        if self._given:
            return self._given
        if time.time() < self._until:
            return self._token
        if self._command:
            self._token, self._until = self._printed(), time.time() + _COMMAND_LIFE
        elif self.scope:
            self._token, self._until = self._signed_in()
        return self._token

    def forget(self) -> None:
        """Get another token for the next request."""
        self._until = 0.0

    def _printed(self) -> str:
        try:
            done = subprocess.run(  # noqa: S603 - the user's own command
                shlex.split(self._command), check=True, capture_output=True, text=True, timeout=_COMMAND_SECONDS
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise CommandFailed(f"The token command failed: {type(error).__name__}", ExitCode.NOT_ALLOWED) from None
        return _checked(done.stdout, "what the token command prints")

    def _signed_in(self) -> tuple[str, float]:
        from azure.core.exceptions import ClientAuthenticationError
        from azure.identity import ChainedTokenCredential, DefaultAzureCredential, DeviceCodeCredential

        if self._credential is None:
            self._credential = ChainedTokenCredential(DefaultAzureCredential(), DeviceCodeCredential())
        try:
            token = self._credential.get_token(self.scope)
        except ClientAuthenticationError:
            raise CommandFailed("Nobody is signed in: `az login`, or DICOM_TOKEN.", ExitCode.NOT_ALLOWED) from None
        return token.token, token.expires_on - _MARGIN


def _checked(text: str, source: str) -> str:
    """A token without what surrounds it. Raises CommandFailed, without the text, for what no header field can hold."""
    token = text.strip()
    if any(not "!" <= each <= "~" for each in token):
        raise CommandFailed(f"A token is one word: {source} is something else.", ExitCode.NOT_ALLOWED)
    return token
