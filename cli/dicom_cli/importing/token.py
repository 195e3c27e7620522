"""The bearer token of an import: given, or of who is signed in, and renewed whenever that is needed."""

import asyncio
from collections.abc import Mapping

from dicom_cli.importing.folder import Fatal
from dicom_cli.outcomes import CommandFailed, ExitCode
from dicom_cli.sign_in import Tokens


class Token:
    """A bearer token: the one that was given, or of who is signed in. Without either nothing is sent."""

    def __init__(self, token: str = "", signed_in: Tokens | None = None) -> None:
        self._token = token
        self._signed_in = signed_in

    @property
    def renewable(self) -> bool:
        """Whether another one can be had."""
        return not self._token and self._signed_in is not None and self._signed_in.renewable

    async def headers(self) -> Mapping[str, str]:
        """The header that says who sends a request. Raises Fatal when nobody can be signed in."""
        token = self._token or await self._current()
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def renew(self) -> None:
        """Have another token for the next request."""
        if self._signed_in is not None:
            self._signed_in.forget()

    async def _current(self) -> str:
        if self._signed_in is None:
            return ""
        try:
            return await asyncio.to_thread(self._signed_in.current)
        except CommandFailed as failure:
            raise Fatal(str(failure), ExitCode.NOT_ALLOWED) from None
