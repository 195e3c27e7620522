"""Runs the function app on this machine: `python -m devhost --help`."""

import argparse
import asyncio
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from devhost import arguments as types
from devhost.arguments import Parser, is_loopback
from devhost.azurite.emulator import Azurite, Ports
from devhost.data_folder import SERVICE_FILE, DataFolder, ServiceFile
from devhost.event_grid.topics import RetryPolicy
from devhost.fhir_server import running_fhir_server
from devhost.host.functions_host import DevHost, HostArguments
from devhost.log import set_up
from devhost.openid_provider import OpenIdProvider
from devhost.settings import Unusable, needs_emulator, read_settings, settings_file, with_secrets, with_storage
from devhost.web_pub_sub import WebPubSub
from devhost.web_pub_sub_events import EventHandler

_ROOT: Final = Path(__file__).resolve().parent.parent


def _arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m devhost", description="Runs the function app on this machine.")
    add = parser.add_argument
    add("--app", type=Path, default=_ROOT, help="directory of function_app.py and host.json")
    add("--settings", type=Path, help="settings file instead of local.settings.json or local.settings.sample.json")
    add("--address", default="127.0.0.1", help="where to listen")
    add("--port", type=types.port, default=7071, help="0: any free port")
    add("--workers", type=types.workers, default=os.environ.get("FUNCTIONS_WORKER_PROCESS_COUNT") or "1")
    add("--azurite-port", type=types.azurite_port, default=10000, help="the first of three ports; 0: free ones")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--data-dir", type=types.folder, default=_ROOT / ".data", help="where Azurite keeps its data")
    where.add_argument("--ephemeral", action="store_true", help="keep no data")
    add("--service-file", type=types.folder, help="file that says where the service is (default: in the data folder)")
    add("--webhooks", type=Path, help="event subscriptions of your own (default: devhost.webhooks.json of the app)")
    add("--sign-in", action="store_true", help="callers need tokens, of an OpenID provider on this machine")
    add("--fhir", action="store_true", help="a FHIR server beside the service, and DICOMcast that writes into it")
    add("--event-retry-scale", type=float, default=0.1, help="factor on Event Grid's pauses between attempts")
    add("--buffer-bodies", action="store_true", help="read a body with a length whole before the function starts")
    add("--no-blob-events", action="store_true", help="do not watch containers for new blobs")
    add(
        "--http-only",
        action="store_true",
        help="only requests start functions: no events of blobs or topics, no timers",
    )
    add("--log-level", default=os.environ.get("DEVHOST_LOG_LEVEL", "WARNING"), type=str.upper)
    add("--once", action="store_true", help="index the functions, print them and end")
    add("--on-failure", metavar="COMMAND", help="what to run when the app cannot be run, to find out why")
    add("--under-parent", action="store_true", help=argparse.SUPPRESS)  # end when standard input ends: for tests
    add("--ready-json", action="store_true", help=argparse.SUPPRESS)  # say so in one line of JSON: for tests
    return parser.parse_args()


def _stop_on_signals(stop: Callable[[], None], *, with_parent: bool) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)

    def watch_parent() -> None:
        while os.read(0, 1024):
            pass
        loop.call_soon_threadsafe(stop)

    if with_parent:
        threading.Thread(target=watch_parent, daemon=True).start()


def _greeting(host: DevHost, data: str, provider: OpenIdProvider | None) -> str:
    version = f"  (version {host.version})" if host.version else ""
    token = ' -H "Authorization: Bearer $TOKEN"' if provider else ""
    return f"""
The service is ready: {host.url}{version}

  look    {host.url}/ in a browser
  store   curl -X POST {host.url}/v2/studies{token} -H 'Content-Type: application/dicom' --data-binary @image.dcm
  search  curl{token} '{host.url}/v2/studies?PatientName=Doe*'
{_sign_in(provider) if provider else ""}
{data}
Ctrl-C ends it.
"""


def _sign_in(provider: OpenIdProvider) -> str:
    """The users of the provider, for people."""
    tokens = "\n".join(f"  TOKEN={token}  # {user}\n" for user, token in provider.tokens().items())
    return f"""
Callers need a token of {provider.url}, good for twelve hours. One of a user who may do what the name says:

{tokens}"""


def _check_exposure(address: str, settings: Mapping[str, str]) -> None:
    """Raises Unusable where other machines could reach a service that asks nobody who they are."""
    if not is_loopback(address) and settings.get("AUTHENTICATION_MODE", "").lower() != "openid":
        raise Unusable(
            f"--address {address} lets other machines in, and AUTHENTICATION_MODE is not openid: "
            "patient data would be open to the network. Set up sign-in, or listen on 127.0.0.1"
        )


def _service_file(arguments: argparse.Namespace) -> Path | None:
    if arguments.service_file:
        return Path(arguments.service_file)
    return None if arguments.ephemeral else arguments.data_dir / SERVICE_FILE


class _Emulator:
    """The emulator of this host, if its settings ask for one: in a data folder that it holds, or in memory."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._azurite: Azurite | None = None

    async def start(self, stack: contextlib.AsyncExitStack) -> str:
        """The connection string. The stack ends the emulator, and gives the folder back after that. Raises Unusable."""
        arguments = self._arguments
        folder: DataFolder | None = None
        if not arguments.ephemeral:
            taken = await asyncio.to_thread(
                DataFolder.take, arguments.data_dir, port=arguments.port, azurite_port=arguments.azurite_port
            )
            folder = stack.enter_context(taken)
        self._azurite = await Azurite.start(
            Ports.starting_at(arguments.azurite_port),
            folder.path if folder else None,
            lock=folder.descriptor if folder else None,
        )
        stack.push_async_callback(self._azurite.stop)
        return self._azurite.connection_string

    def folder(self, stack: contextlib.AsyncExitStack) -> Path:
        """The data folder; one that is gone with the stack, if nothing is kept."""
        if self._arguments.ephemeral:
            return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dicom-")))
        return Path(self._arguments.data_dir)

    @property
    def port(self) -> int:
        """The port of its blob service; 0 when it does not run."""
        return self._azurite.ports.blob if self._azurite else 0

    @property
    def text(self) -> str:
        """Where the data is, for people."""
        if self._azurite is None:
            return "The data is where the settings say."
        if self._arguments.ephemeral:
            return "The data is in memory and ends with the service."
        return f"The data is in {self._arguments.data_dir}."


async def _run(arguments: argparse.Namespace) -> None:
    stopping = asyncio.Event()
    _stop_on_signals(stopping.set, with_parent=arguments.under_parent)
    app = arguments.app.resolve()
    settings = read_settings(arguments.settings or settings_file(app), os.environ)
    provider = OpenIdProvider() if arguments.sign_in else None
    _check_exposure(arguments.address, settings)
    async with contextlib.AsyncExitStack() as stack:
        if provider is not None:
            await provider.start()
            stack.push_async_callback(provider.stop)
            settings = {**settings, **provider.settings()}
        if arguments.fhir:
            fhir = await stack.enter_async_context(running_fhir_server())
            settings = {**settings, **fhir.settings(f"http://localhost:{arguments.port}/v2")}
            print(f"FHIR server: {fhir.url}")
        emulator = _Emulator(arguments)
        connection = settings.get("DicomStorage", "")
        if needs_emulator(settings) and not arguments.once:
            connection = await emulator.start(stack)
            settings = with_secrets(with_storage(settings, connection), emulator.folder(stack))
        sockets: WebPubSub | None = None
        if not arguments.once and not settings.get("WORKLIST_NOTIFICATIONS_ENDPOINT"):
            sockets = WebPubSub()
            await sockets.start()
            stack.push_async_callback(sockets.stop)
            settings = {**settings, **sockets.settings()}
        host = DevHost(
            HostArguments(
                app=app,
                settings=settings,
                address=arguments.address,
                port=arguments.port,
                workers=arguments.workers,
                log_level=arguments.log_level,
                webhooks=arguments.webhooks,
                retry=RetryPolicy().scaled(arguments.event_retry_scale),
                watch_blobs=not (arguments.no_blob_events or arguments.http_only),
                buffer_bodies=arguments.buffer_bodies,
                background=not arguments.http_only,
            )
        )
        stack.push_async_callback(host.stop)
        if arguments.once:
            await host.index()
            print(host.summary())
            return
        starting = asyncio.create_task(host.start())
        ended = asyncio.create_task(stopping.wait())
        await asyncio.wait({starting, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            return
        await starting
        if sockets is not None:
            sockets.handlers["worklist"] = EventHandler(f"http://127.0.0.1:{host.port}/worklist/connections")
        if file := _service_file(arguments):
            stack.enter_context(ServiceFile(file)).write(port=host.port, azurite_port=emulator.port, url=host.url)
        tokens = provider.tokens() if provider else {}
        ready = json.dumps({"url": host.url, "connectionString": connection, "tokens": tokens})
        print(ready if arguments.ready_json else _greeting(host, emulator.text, provider), flush=True)
        await ended


def main() -> int:
    """Run the host; the answer is the exit code."""
    arguments = _arguments()
    set_up(arguments.log_level)
    try:
        asyncio.run(_run(arguments))
    except Unusable as error:
        print(f"The app cannot be run: {error}", file=sys.stderr)
        if arguments.on_failure:
            subprocess.run(
                shlex.split(arguments.on_failure), check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno()
            )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
