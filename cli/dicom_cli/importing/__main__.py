"""`dicom import FOLDER [--url URL]`: send a folder of DICOM files (docs/operate/import.md)."""

import contextlib
import sys
from collections.abc import Sequence

from dicom_cli.importing.options import parser


def main(given: Sequence[str] | None = None) -> int:
    """Run the program; its exit code."""
    arguments = parser().parse_intermixed_args(given)
    from dicom_cli.importing.command import run

    return run(arguments)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
