"""Folders of this machine that commands use."""

import os
from pathlib import Path


def checkout() -> Path | None:
    """The folder of the project where this package lies in it; None where it is installed by itself."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "function_app.py").is_file() else None


def state_folder() -> Path:
    """Where what outlives a run is kept."""
    if root := checkout():
        return root / ".cache"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "dicom"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "dicom"
