"""Azure as the programs of the deployment see it: the Azure CLI, the service, and time."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from scripts.deployment import Unusable


class Azure(Protocol):
    """What they ask of the world outside."""

    environment: Mapping[str, str]

    def az(self, *arguments: str) -> Any:
        """The answer of an Azure CLI command. Raises Refused."""
        ...

    def get(self, url: str) -> tuple[int, bytes]:
        """Status and body; status 0 when nobody answers."""
        ...

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        ...


class Refused(Exception):
    """A command of the Azure CLI failed; the text is its own."""


@dataclass(slots=True)
class RealAzure:
    """The real one."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def az(self, *arguments: str) -> Any:
        program = shutil.which("az")
        if program is None:
            raise Unusable("The Azure CLI (az) is not installed: https://aka.ms/azure-cli")
        # azd and the Azure CLI each have a subscription of their own; that of azd counts.
        subscription = self.environment.get("AZURE_SUBSCRIPTION_ID")
        common = ["--output", "json", "--only-show-errors", *(["--subscription", subscription] if subscription else [])]
        run = subprocess.run([program, *arguments, *common], check=False, capture_output=True, text=True)
        if run.returncode:
            raise Refused(run.stderr.strip())
        return json.loads(run.stdout) if run.stdout.strip() else None

    def get(self, url: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - the deployment's own https address
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b""

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)
