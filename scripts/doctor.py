"""`make doctor`: what keeps the service from running on this machine, and the remedy for each.

Needs nothing but Python 3.13: it runs before anything is set up (`--before run`, by `scripts/setup`), and after
`make run` has failed (`--failures`). The exit code is 1 when a check has failed.
"""

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from devhost import arguments as types
from devhost.data_folder import SERVICE_FILE, holder_of, running_service_of
from shared.version import running_version

ROOT: Final = Path(__file__).resolve().parent.parent
LOOPBACK: Final = "127.0.0.1"
OLDEST_NODE: Final = 18
SET_UP_BYTES: Final = {"run": 600_000_000, "import": 600_000_000, "dev": 1_200_000_000}
"""Free space that set-up takes: the packages, and for a while their archives."""
DATA_BYTES: Final = 100_000_000
"""Free space below which a service for trying things out is not worth starting."""
CLOCK_MARGIN: Final = 86_400.0
"""Seconds that files may be from the future: archives keep the times of other time zones."""
_SLOWEST: Final = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found. `remedy` is what to do when it failed."""

    state: Literal["ok", "FAILED", "NOT RUN"]
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{self.state:<8} {self.text}"
        return f"{line}\n{'':<8} -> {self.remedy}" if self.remedy else line


def is_free(port: int) -> bool:
    """Whether a port of this machine can be listened on."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Machine:
    """What the checks look at: the environment of `make`, and the folder of the project."""

    environment: Mapping[str, str]
    root: Path = ROOT
    is_free: Callable[[int], bool] = is_free

    @property
    def data(self) -> Path:
        """The data folder. Raises ArgumentTypeError."""
        return types.folder(self.environment.get("DATA_DIR") or str(self.root / ".data"))

    @property
    def ephemeral(self) -> bool:
        """Whether the service keeps no data."""
        return bool(self.environment.get("EPHEMERAL"))

    @property
    def service_file(self) -> Path:
        """Where a service that runs has left its ports."""
        return self.root / ".cache" / SERVICE_FILE if self.ephemeral else self.data / SERVICE_FILE

    def said_by(self, *command: str) -> str:
        """What a program prints; empty when it cannot be run."""
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=_SLOWEST, cwd=self.root, errors="replace"
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        return run.stdout.strip()


def check_python(_: Machine) -> Iterator[Finding]:
    """The version of the Azure Functions worker."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == (3, 13):
        yield Finding("ok", f"Python {version}")
    else:
        yield Finding("FAILED", f"Python {version} is not 3.13", "scripts/find-python says how to get it")


def check_node(machine: Machine) -> Iterator[Finding]:
    """Node.js and npm, for Azurite."""
    remedy = f"install Node.js {OLDEST_NODE} or newer, with npm: https://nodejs.org"
    if shutil.which("node") is None:
        yield Finding("FAILED", "Node.js was not found; Azurite, the storage emulator, runs on it", remedy)
        return
    version = machine.said_by("node", "--version")
    match = re.match(r"v(\d+)\.", version)
    if match is None or int(match[1]) < OLDEST_NODE:
        yield Finding("FAILED", f"Node.js {version.removeprefix('v') or '(no version)'} is too old", remedy)
    else:
        yield Finding("ok", f"Node.js {version.removeprefix('v')}")
    if shutil.which("npm") is None:
        yield Finding("FAILED", "npm was not found; it comes with Node.js and installs Azurite", remedy)


def check_disk(machine: Machine, wanted: int = DATA_BYTES) -> Iterator[Finding]:
    """Room for packages and data."""
    places = {machine.root} if machine.ephemeral else {machine.root, _existing(machine.data)}
    for place in sorted(places):
        free = shutil.disk_usage(place).free
        needed = wanted if place == machine.root else DATA_BYTES
        if free < needed:
            yield Finding(
                "FAILED",
                f"{place} has {free // 10**6} MB of free space, and {needed // 10**6} MB are needed",
                "make room (`make clean` removes what set-up made), or choose another folder with DATA_DIR=",
            )
        else:
            yield Finding("ok", f"{free // 10**6:,} MB of free space in {place}")


def _existing(path: Path) -> Path:
    """The folder itself, or the one in which it would be made."""
    return next(parent for parent in (path, *path.parents) if parent.exists())


def check_ports(machine: Machine) -> Iterator[Finding]:
    """The ports of the service and of the emulator: free, or used by the service of this data folder."""
    environment = machine.environment
    port = types.port(environment.get("PORT") or "7071")
    first = types.azurite_port(environment.get("AZURITE_PORT") or "10000")
    if port and first and port in range(first, first + types.EMULATOR_PORTS):
        yield Finding(
            "FAILED",
            f"port {port} is one of the three of Azurite ({first} to {first + types.EMULATOR_PORTS - 1})",
            "choose another port: PORT= or AZURITE_PORT=",
        )
        return
    service = running_service_of(machine.service_file) or {}
    own = (service.get("port"), service.get("azuritePort")) == (port, first)
    wanted = {port: "PORT="} if port else {}
    wanted |= {first + number: "AZURITE_PORT=" for number in range(types.EMULATOR_PORTS)} if first else {}
    taken = {number: setting for number, setting in wanted.items() if not machine.is_free(number)}
    if taken and own:
        yield Finding(
            "ok", f"port {port}: the service of this data folder answers there (process {service.get('pid')})"
        )
        return
    for setting in dict.fromkeys(taken.values()):
        numbers = [str(number) for number in taken if taken[number] == setting]
        text = f"port {numbers[0]} is taken" if len(numbers) == 1 else f"ports {', '.join(numbers)} are taken"
        yield Finding("FAILED", f"{text}: is another `make run` up?", f"end it, or choose another port: {setting}")
    if not taken:
        yield Finding("ok", f"ports {', '.join(map(str, wanted))} are free")


def check_data_folder(machine: Machine) -> Iterator[Finding]:
    """The data folder: to be written, and held by nobody else."""
    if machine.ephemeral:
        yield Finding("ok", "EPHEMERAL: no data folder is needed")
        return
    folder = machine.data
    place = _existing(folder)
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        yield Finding(
            "FAILED", f"the data folder {folder} cannot be written", "choose another with DATA_DIR=, or EPHEMERAL=1"
        )
        return
    holder = holder_of(folder)
    service = running_service_of(folder / SERVICE_FILE) or {}
    if holder is None:
        yield Finding("ok", f"the data folder {folder} is free")
    elif service.get("pid") == holder.pid:
        yield Finding("ok", f"the data folder {folder} is in use by {holder.text}, which answers")
    else:
        yield Finding(
            "FAILED",
            f"the data folder {folder} is in use by {holder.text}, which does not answer yet or any more",
            f"wait, end process {holder.pid}, or choose another folder with DATA_DIR=",
        )


def check_clock(machine: Machine) -> Iterator[Finding]:
    """The clock: tokens and signatures of storage requests depend on it."""
    newest = max(path.stat().st_mtime for path in (machine.root / "pyproject.toml", machine.root / "function_app.py"))
    if time.time() < newest - CLOCK_MARGIN:
        yield Finding(
            "FAILED",
            f"the clock says {time.strftime('%Y-%m-%d %H:%M')}, which is before this code was written",
            "set it, for instance with `timedatectl set-ntp true`",
        )
    else:
        yield Finding("ok", f"the clock says {time.strftime('%Y-%m-%d %H:%M %Z')}")


def pinned(text: str) -> dict[str, str]:
    """Names and versions of a requirement file, without those for other systems."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9.-]*)==(\S+) \\$", text, re.MULTILINE))


def check_packages(machine: Machine) -> Iterator[Finding]:
    """What set-up has installed, against what is pinned."""
    python = machine.root / ".venv/bin/python"
    if not python.exists():
        yield Finding("NOT RUN", "packages: set-up has not been run yet", "make run does it")
        return
    program = "from importlib import metadata as m\nfor d in m.distributions(): print(d.name, d.version)"
    lines = machine.said_by(str(python), "-c", program).splitlines()
    installed = {
        re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in (x.partition(" ") for x in lines)
    }
    wanted = pinned((machine.root / "requirements.txt").read_text())
    wrong = [f"{name} {installed.get(name, 'missing')}" for name in wanted if installed.get(name) != wanted[name]]
    if wrong:
        shown = ", ".join(wrong[:5]) + (", ..." if len(wrong) > 5 else "")
        yield Finding("FAILED", f"{len(wrong)} packages are not as pinned: {shown}", "rm -rf .venv; make setup")
    else:
        yield Finding("ok", f"{len(wanted)} packages are as pinned")


def check_emulator(machine: Machine) -> Iterator[Finding]:
    """Azurite."""
    if machine.environment.get("AZURITE"):
        yield Finding("ok", f"Azurite: AZURITE names {machine.environment['AZURITE']}")
        return
    said = machine.said_by(str(machine.root / ".cache/node_modules/.bin/azurite"), "--version")
    if said:
        yield Finding("ok", f"Azurite {said}")
    elif (machine.root / ".cache/node_modules").exists():
        yield Finding("FAILED", "Azurite cannot be started", "rm -rf .cache/node_modules; make setup")
    else:
        yield Finding("NOT RUN", "Azurite: set-up has not been run yet", "make run does it")


def check_version(_: Machine) -> Iterator[Finding]:
    """This code."""
    version = running_version()
    yield Finding("ok", f"version {version['version']}, commit {version['commit']}")


type Check = Callable[[Machine], Iterator[Finding]]

ALL: Final[tuple[Check, ...]] = (
    check_version, check_python, check_node, check_emulator, check_packages, check_disk, check_clock, check_ports,
    check_data_folder,
)  # fmt: skip  # read at once: one item a line says no more


def before(purpose: str, machine: Machine) -> tuple[Check, ...]:
    """The checks that set-up makes before it begins: quick ones, of what it cannot do without."""
    marker = machine.root / ".venv/.set-up"
    wanted = DATA_BYTES if marker.exists() else SET_UP_BYTES[purpose]
    node = () if machine.environment.get("AZURITE") else (check_node,)
    places = (check_ports, _free_folder) if purpose == "run" else ()
    return (check_python, *node, lambda machine: check_disk(machine, wanted), *places)


def _free_folder(machine: Machine) -> Iterator[Finding]:
    """The data folder, for a service that is about to start: one that is in use will not do."""
    holder = None if machine.ephemeral else holder_of(machine.data)
    if holder:
        yield Finding(
            "FAILED",
            f"the data folder {machine.data} is in use by {holder.text}",
            "end it, or choose another folder with DATA_DIR=, or none with EPHEMERAL=1",
        )
    else:
        yield from check_data_folder(machine)


def findings(checks: tuple[Check, ...], machine: Machine) -> Iterator[Finding]:
    """What the checks find. A setting that cannot be understood is a finding, too."""
    for check in checks:
        try:
            yield from check(machine)
        except argparse.ArgumentTypeError as error:
            yield Finding("FAILED", str(error), "see `make help`")


def main(arguments: list[str], machine: Machine | None = None) -> int:
    """Run the checks; the answer is the exit code."""
    parser = argparse.ArgumentParser(prog="make doctor", description=__doc__)
    parser.add_argument("--before", choices=SET_UP_BYTES, help="what set-up needs; silent when all is well")
    parser.add_argument("--failures", action="store_true", help="print nothing but what has failed")
    given = parser.parse_args(arguments)
    machine = machine or Machine(os.environ)
    found = list(findings(before(given.before, machine) if given.before else ALL, machine))
    failed = [finding for finding in found if finding.state == "FAILED"]
    quiet = given.before or given.failures
    for finding in dict.fromkeys(map(str, failed if quiet else found)):
        print(finding, file=sys.stderr if quiet else sys.stdout)
    if given.failures and not failed:
        print("`make doctor` finds nothing wrong with this machine.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
