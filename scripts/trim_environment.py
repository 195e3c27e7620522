"""Removes from the packages of `make run` what the service never imports, as for the deployed package: tests, sources
and stubs, and the codecs that are not used. `scripts/setup` runs it with the interpreter of `.venv`.
"""

import sys
import sysconfig
from pathlib import Path

from scripts.deployment.package import ROOT, codecs, trim


def main(packages: Path, root: Path = ROOT) -> None:
    """Trim the packages of this folder for the app in `root`."""
    trim(packages, codecs(root))


if __name__ == "__main__":
    if sys.prefix == sys.base_prefix:
        sys.exit("This is no virtual environment: its packages are not ours.")
    main(Path(sysconfig.get_path("purelib")))
