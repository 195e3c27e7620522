"""Targets of an import: a DICOMweb service, or the import container of one, on this machine or elsewhere."""

import argparse
import asyncio
import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom_cli.importing.container import ContainerSender, store_id_of
from dicom_cli.importing.folder import Fatal
from dicom_cli.importing.service import Service, probe
from dicom_cli.importing.token import Token
from dicom_cli.places import checkout, state_folder
from dicom_cli.sign_in import Tokens


@dataclass(frozen=True, slots=True)
class _LocalService:
    """The service that `make run` has started on this machine, as its data folder says."""

    url: str = ""
    azurite_port: int = 0


def _local_service() -> _LocalService:
    folder = Path(os.environ.get("DATA_DIR") or (checkout() or Path()) / ".data").expanduser()
    for path in (folder / "service.json", state_folder() / "service.json"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(path.read_bytes())
            return _LocalService(str(content["url"]).rstrip("/"), int(content["azuritePort"]))
    return _LocalService()


def _connection(arguments: argparse.Namespace, local: _LocalService) -> str:
    """The connection string: given, or from the settings of the service on this machine. Raises Fatal."""
    if arguments.connection:
        return str(arguments.connection)
    root = checkout()
    if root is None:
        raise Fatal("Name the account with the import container: --account or --connection.")
    from devhost.azurite.storage_account import emulator_connection
    from devhost.settings import DEVELOPMENT_STORAGE, Unusable, read_settings, settings_file

    try:
        settings = read_settings(settings_file(root), os.environ)
    except Unusable as error:
        raise Fatal(str(error)) from None
    found = settings.get("ImportStorage") or settings.get("DicomStorage") or ""
    if not found:
        raise Fatal("Name the account with the import container: --account or --connection.")
    if found.strip().rstrip(";") == DEVELOPMENT_STORAGE:
        first = local.azurite_port or int(os.environ.get("AZURITE_PORT") or 10000)
        return emulator_connection(first, first + 1, first + 2)
    return found


@dataclass(slots=True)
class Target:
    """The target of the files, and the service that can be asked for them."""

    name: str
    """Address and identity: what a journal belongs to."""
    token: Token
    service: Service | None
    clients: tuple[Any, Any] | None = None
    """Of the account with the import container; None: over STOW-RS."""

    async def close(self) -> None:
        """Close the connections."""
        if self.service is not None:
            await self.service.close()
        for client in self.clients or ():
            await client.close()


async def find_target(arguments: argparse.Namespace, tokens: Tokens) -> Target:
    """The target that takes the files, by the command line. Raises Fatal when nobody is there."""
    token = Token(arguments.token, tokens)
    partition = arguments.partition
    if arguments.url:
        await probe(arguments.url, "is the address right, and the service up?")
        service = Service(arguments.url, partition=partition, token=token)
        name = f"{arguments.url} {partition} {await service.store_id()}"
        return Target(name, token, service)
    local = _local_service()
    connection = "" if arguments.account else _connection(arguments, local)
    clients = ContainerSender.clients(connection, account=arguments.account)
    hint = "is `make run` up, with the same AZURITE_PORT?" if connection else "is the name of the account right?"
    try:
        await probe(str(clients[0].primary_endpoint), hint)
        store = await store_id_of(clients[0], arguments.container)
    except Fatal:
        await asyncio.gather(*(client.close() for client in clients))
        raise
    at_hand = f"{local.url}/v2" if local.url and not arguments.connection and not arguments.account else ""
    url = arguments.service or at_hand
    service_of_container = Service(url, partition=partition, token=token) if url else None
    if service_of_container is not None and await service_of_container.store_id() != store:
        await service_of_container.close()
        service_of_container = None
        if arguments.service:
            await asyncio.gather(*(client.close() for client in clients))
            raise Fatal(f"The service at {url} is not the one behind the container.")
    where = arguments.account or "container"
    return Target(f"{where} {arguments.container} {partition} {store}", token, service_of_container, clients)
