"""The service on this machine with a FHIR server beside it, for one run: on ports of its own, leaving no data."""

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
_WAIT_SECONDS = 240


@dataclass(frozen=True)
class LocalService:
    """What runs."""

    url: str
    """Of version 2 of the service."""
    fhir: str
    emulator: str
    """Address of the blobs of the storage emulator."""

    def wait_for(self, what: str, look: Callable[[], Any]) -> Any:
        """What `look` finds, in the end. The timer of the service is run at once instead of once a minute."""
        until = time.monotonic() + _WAIT_SECONDS
        while not (found := look()):
            if time.monotonic() > until:
                sys.exit(f"In vain waited for {what}.")
            chores = f"{self.url.removesuffix('/v2')}/admin/functions/housekeeping"
            requests.post(chores, json={"input": ""}, timeout=120)
            time.sleep(0.5)
        return found


@contextmanager
def local_service(settings: dict[str, Any]) -> Iterator[LocalService]:
    """Start it, with some settings; it ends with the block, or with this process."""
    port, azurite = _free_ports(1), _free_ports(3)
    emulator = f"http://127.0.0.1:{azurite}/devstoreaccount1"
    secrets = tempfile.TemporaryDirectory()  # the keys of de-identification
    given = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    environment = {**os.environ, **given, "EXPORT_DESTINATIONS": f"{emulator}/export"}
    environment["SECRET_STORE"] = Path(secrets.name).as_uri()
    command = [ROOT / ".venv/bin/python", "-u", "-m", "devhost", "--ephemeral", "--fhir", "--under-parent"]
    command += ["--port", str(port), "--azurite-port", str(azurite)]
    pipe = subprocess.PIPE
    host = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True)
    try:
        fhir = ""
        for line in host.stdout:
            fhir = line.split()[-1] if line.startswith("FHIR server:") else fhir
            if line.startswith("The service is ready"):
                break
        else:
            sys.exit("The service did not start.")
        threading.Thread(target=host.stdout.read, daemon=True).start()  # a full pipe would stop it
        yield LocalService(f"http://localhost:{port}/v2", fhir, emulator)
    finally:
        host.stdin.close()
        host.wait(60)
        secrets.cleanup()


def _free_ports(number: int) -> int:
    """The first of some ports in a row that are free, below those that systems give away by themselves."""
    while True:
        first = random.randrange(20_000, 30_000)
        with ExitStack() as stack, suppress(OSError):
            for each in range(first, first + number):
                stack.enter_context(socket.create_server(("127.0.0.1", each)))
            return first
