"""Stores of secrets of other accounts: Azure Key Vault, or files of a developer's machine (XPT-28)."""

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname
from uuid import uuid4

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

from shared import telemetry
from shared.errors import DependencyRefused, Misconfigured, Unavailable
from shared.storage.connection import quiet_sdk_logs

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.keyvault.secrets.aio import SecretClient

_NO_STORE = "SECRET_STORE is the https URI of a key vault, or the file URI of a folder"
_NAME: Final = re.compile(r"[0-9a-z-]{1,127}")
_REFUSED: Final = frozenset({401, 403})


class KeyVault:
    """Secrets in a key vault, encrypted by it with keys that it never hands out.

    A vault keeps what is deleted for its retention, unless it may be purged: that needs its permission and a vault
    without purge protection.
    """

    def __init__(self, uri: str, credential: "Callable[[], AsyncTokenCredential]") -> None:
        self._uri = uri
        self._credential = credential
        self._client: SecretClient | None = None

    async def put(self, name: str, value: str) -> None:
        """Keep a secret."""
        try:
            await self._secrets().set_secret(_checked(name), value)
        except AzureError as error:
            raise _failure(error) from None

    async def get(self, name: str) -> str | None:
        """The secret; None if there is none."""
        try:
            found: str | None = (await self._secrets().get_secret(_checked(name))).value
        except ResourceNotFoundError:
            return None
        except AzureError as error:
            raise _failure(error) from None
        return found

    async def delete(self, name: str) -> None:
        """Delete the secret, and purge it if the vault lets it be."""
        try:
            await self._secrets().delete_secret(_checked(name))
        except ResourceNotFoundError:
            return
        except AzureError as error:
            raise _failure(error) from None
        try:
            await self._secrets().purge_deleted_secret(name)
        except ResourceNotFoundError:
            return
        except AzureError as error:
            # Deleted it is; the vault forgets it by itself when its retention is over.
            telemetry.failure("secret-not-purged", error)

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client:
            await client.close()

    def _secrets(self) -> "SecretClient":
        if self._client is None:
            from azure.keyvault.secrets.aio import SecretClient

            quiet_sdk_logs()
            self._client = SecretClient(self._uri, self._credential(), use_env_settings=False)
        return self._client


class SecretFiles:
    """Secrets in files that nobody but the user of the process reads: development only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, value: str) -> None:
        """Keep a secret."""
        await self._do(self._write, _checked(name), value)

    async def get(self, name: str) -> str | None:
        """The secret; None if there is none."""
        return await self._do(self._read, _checked(name))

    async def delete(self, name: str) -> None:
        """Remove the secret."""
        await self._do(lambda: (self._folder / _checked(name)).unlink(missing_ok=True))

    async def close(self) -> None:
        """Nothing to close."""

    @staticmethod
    async def _do[*P, T](act: Callable[[*P], T], *values: *P) -> T:
        try:
            return await asyncio.to_thread(act, *values)
        except OSError as error:
            raise Unavailable(f"The folder of secrets cannot be used ({type(error).__name__})") from None

    def _write(self, name: str, value: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._folder / f".{uuid4().hex}"
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(value)
        new.replace(self._folder / name)

    def _read(self, name: str) -> str | None:
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None


def secret_store(uri: str, credential: "Callable[[], AsyncTokenCredential]") -> KeyVault | SecretFiles:
    """The store that a URI names: `https:` a key vault, for which `credential` is asked when it is first used;
    `file:` a folder. Raises Misconfigured.
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise Misconfigured(_NO_STORE) from None
    if parts.scheme == "https" and parts.hostname:
        return KeyVault(uri, credential)
    if parts.scheme == "file" and parts.path:
        return SecretFiles(Path(url2pathname(parts.path)))
    raise Misconfigured(_NO_STORE)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("The name of a secret has digits, small letters and hyphens")
    return name


def _failure(error: AzureError) -> Exception:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status in _REFUSED:
        return DependencyRefused(f"Key Vault refused the request ({status})")
    return Unavailable(f"Key Vault did not serve the request ({status or 'no answer'})")
