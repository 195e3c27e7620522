"""Runs the app with Azure Functions Core Tools, beside Azurite: `python -m devhost.core_tools --port 7071`.

Without the local Event Grid there are no events: the timers find what is to be done.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from devhost import arguments as types
from devhost.arguments import Parser
from devhost.azurite.emulator import Azurite, Ports
from devhost.data_folder import SERVICE_FILE, DataFolder, ServiceFile
from devhost.settings import Unusable, read_settings, settings_file, with_secrets, with_storage

_ROOT: Final = Path(__file__).resolve().parent.parent


async def _run(port: int, azurite_port: int, data: Path | None, service_file: Path | None) -> int:
    func = shutil.which("func")
    if func is None:
        raise Unusable("Azure Functions Core Tools 4 were not found")
    settings = read_settings(settings_file(_ROOT), os.environ)
    with contextlib.ExitStack() as stack:
        held = stack.enter_context(DataFolder.take(data, port=port, azurite_port=azurite_port)) if data else None
        azurite = await Azurite.start(Ports.starting_at(azurite_port), data, lock=held.descriptor if held else None)
        try:
            if service_file:
                file = stack.enter_context(ServiceFile(service_file))
                file.write(port=port, azurite_port=azurite.ports.blob, url=f"http://127.0.0.1:{port}")
            folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dicom-")))
            return await _start_app(func, port, with_secrets(with_storage(settings, azurite.connection_string), folder))
        finally:
            await azurite.stop()


async def _start_app(func: str, port: int, settings: Mapping[str, str]) -> int:
    process = await asyncio.create_subprocess_exec(
        func, "start", "--port", str(port), cwd=_ROOT, env=settings, start_new_session=True
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _interrupt, process)
    return await process.wait()


def _interrupt(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)


def main() -> int:
    """Run the app; the answer is the exit code."""
    parser = Parser(prog="python -m devhost.core_tools", description=__doc__)
    parser.add_argument("--port", type=types.port, default=7071)
    parser.add_argument("--azurite-port", type=types.azurite_port, default=10000)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--data-dir", type=types.folder, default=_ROOT / ".data")
    where.add_argument("--ephemeral", action="store_true")
    parser.add_argument("--service-file", type=types.folder)
    arguments = parser.parse_args()
    place = None if arguments.ephemeral else arguments.data_dir
    service_file = arguments.service_file or (place / SERVICE_FILE if place else None)
    try:
        return asyncio.run(_run(arguments.port, arguments.azurite_port, place, service_file))
    except Unusable as error:
        print(f"The app cannot be run: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
