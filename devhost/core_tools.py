"""Runs the app with Azure Functions Core Tools, beside Azurite: `python -m devhost.core_tools --port 7071`.

Without the local Event Grid there are no events: the timers find what is to be done.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Final

from devhost.azurite.emulator import Azurite, Ports
from devhost.settings import Unusable, read_settings, settings_file, with_storage

_ROOT: Final = Path(__file__).resolve().parent.parent


async def _run(port: int, azurite_port: int, data: Path | None) -> int:
    func = shutil.which("func")
    if func is None:
        raise Unusable("Azure Functions Core Tools 4 were not found")
    file = settings_file(_ROOT)
    azurite = await Azurite.start(Ports.starting_at(azurite_port), data)
    try:
        settings = with_storage(read_settings(file, os.environ), azurite.connection_string)
        process = await asyncio.create_subprocess_exec(
            func, "start", "--port", str(port), cwd=_ROOT, env=settings, start_new_session=True
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, _interrupt, process)
        return await process.wait()
    finally:
        await azurite.stop()


def _interrupt(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)


def main() -> int:
    """Run the app; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="python -m devhost.core_tools", description=__doc__)
    parser.add_argument("--port", type=int, default=7071)
    parser.add_argument("--azurite-port", type=int, default=10000)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--data-dir", type=Path, default=_ROOT / ".data")
    where.add_argument("--ephemeral", action="store_true")
    arguments = parser.parse_args()
    try:
        place = None if arguments.ephemeral else arguments.data_dir.resolve()
        return asyncio.run(_run(arguments.port, arguments.azurite_port, place))
    except Unusable as error:
        print(f"The app cannot be run: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
