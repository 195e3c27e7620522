"""Known vulnerabilities of every pinned package, Python's and Azurite's: `make audit`.

The advisories are asked for at public services, which not every machine reaches; `--osv` names another one for
Python's, npm's own configuration (`npm_config_registry`) one for Azurite's. What could not be looked up is reported as
NOT RUN: `make audit` fails then, `make check` (`--where-reachable`) does not. Nothing is installed.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
_PYTHON: Final = (
    sys.executable, "-m", "pip_audit", "--requirement", "requirements-dev.txt", "--require-hashes", "--disable-pip",
    "--vulnerability-service", "osv", "--format", "json", "--progress-spinner", "off", "--timeout", "10",
)  # fmt: skip  # read at once: one item a line says no more
_NODE: Final = ("npm", "audit", "--prefix", "devhost/azurite/npm", "--package-lock-only", "--json")
_SECONDS: Final = 120.0


class NotRun(Exception):
    """The advisories could not be looked up; the text says why."""


def _report(command: Sequence[str]) -> Any:
    """The JSON that a program prints, whatever its exit code. Raises NotRun."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS, cwd=ROOT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotRun(type(error).__name__) from error
    try:
        return json.loads(run.stdout)
    except ValueError:
        lines = run.stderr.strip().splitlines() or ["no answer"]
        raise NotRun(lines[-1][:200]) from None


def python_advisories(report: Any) -> list[str]:
    """The advisories in a report of pip-audit, a line each. Raises NotRun when it is of another form."""
    try:
        packages = report["dependencies"]
        if skipped := [package["name"] for package in packages if "skip_reason" in package]:
            raise NotRun(f"{len(skipped)} of {len(packages)} packages were left out, {skipped[0]} among them")
        return [
            f"{package['name']} {package['version']}: {found['id']}, mended in {', '.join(found['fix_versions'])}"
            for package in packages
            for found in package["vulns"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise NotRun(f"the report is not understood ({type(error).__name__})") from error


def node_advisories(report: Any) -> list[str]:
    """The advisories in a report of `npm audit`, a line for each package. Raises NotRun when it is of another form."""
    try:
        if "error" in report:
            raise NotRun(str(report["error"].get("summary") or report.get("message") or "no answer")[:200])
        return [f"{name}: {found['severity']}, {found['range']}" for name, found in report["vulnerabilities"].items()]
    except (KeyError, TypeError, AttributeError) as error:
        raise NotRun(f"the report is not understood ({type(error).__name__})") from error


def main(arguments: Sequence[str], report: Callable[[Sequence[str]], Any] = _report) -> int:
    """Look the advisories up; 1 when there is one, 2 when they could not be looked up and had to be."""
    parser = argparse.ArgumentParser(prog="python -m scripts.audit", description=__doc__)
    parser.add_argument("--where-reachable", action="store_true", help="succeed when they cannot be looked up")
    parser.add_argument("--osv", default="", help="URL of a service that answers queries as api.osv.dev does")
    given = parser.parse_args(arguments)
    lenient = given.where_reachable
    python = (*_PYTHON, "--osv-url", given.osv) if given.osv else _PYTHON
    found, missing = False, False
    for name, command, read in (
        ("Python packages", python, python_advisories),
        ("Azurite's packages", _NODE, node_advisories),
    ):
        try:
            advisories = read(report(command))
        except NotRun as reason:
            print(f"NOT RUN: advisories of {name}: {reason}")
            missing = True
            continue
        print(f"{name}: {len(advisories)} known vulnerabilities", *advisories, sep="\n  ")
        found = found or bool(advisories)
    return 1 if found else 2 if missing and not lenient else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
