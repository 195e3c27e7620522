"""The address of the service and the caller: option, environment, profile, default, in that order (CLI-6)."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dicom_cli.outcomes import CommandFailed, ExitCode

DEFAULT_URL: Final = "http://localhost:7071"
_NAMES: Final = {
    "url": "DICOM_URL",
    "partition": "DICOM_PARTITION",
    "scope": "DICOM_SCOPE",
    "token_command": "DICOM_TOKEN_COMMAND",
}
_SECRETS: Final = ("token", "password", "secret", "key")
"""Members that a profile may not have: nothing secret lies in the file."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the configuration and where it came from."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """The values of one run."""

    values: Mapping[str, Value]
    token: str
    """A bearer token from the environment; never from an option, which other users of the machine could read."""

    def __getitem__(self, name: str) -> str:
        return self.values[name].text

    @property
    def service_url(self) -> str:
        """The URL of the service, without slash and version at the end."""
        url = self["url"].rstrip("/")
        head, _, last = url.rpartition("/")
        return head if last in ("v1", "v2") else url


def configuration_file() -> Path:
    """The file with the profiles: `DICOM_CONFIG`, or where the system keeps such files."""
    if named := os.environ.get("DICOM_CONFIG"):
        return Path(named)
    if os.name == "nt":
        return Path(os.environ.get("APPDATA", Path.home())) / "dicom" / "config.toml"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "dicom" / "config.toml"


def configured(options: Mapping[str, str | None], profile: str = "") -> Configuration:
    """The configuration of a run. Raises CommandFailed for a file that cannot be used."""
    path = configuration_file()
    stored = _profile(path, profile or os.environ.get("DICOM_PROFILE", ""))
    values: dict[str, Value] = {}
    for name, variable in _NAMES.items():
        if option := options.get(name):
            values[name] = Value(option, f"--{name.replace('_', '-')}")
        elif named := os.environ.get(variable):
            values[name] = Value(named, variable)
        elif name in stored:
            values[name] = Value(stored[name], str(path))
        else:
            values[name] = Value(DEFAULT_URL if name == "url" else "", "default")
    return Configuration(values, os.environ.get("DICOM_TOKEN", ""))


def _profile(path: Path, name: str) -> Mapping[str, str]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        document = {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CommandFailed(f"{path} cannot be read: {error}", ExitCode.WRONG_USE) from None
    profiles = document.get("profiles", {})
    chosen = name or str(document.get("profile", ""))
    if not chosen:
        return {}
    if not isinstance(profiles, dict) or not isinstance(profiles.get(chosen), dict):
        raise CommandFailed(f"{path} has no profile {chosen!r}.", ExitCode.WRONG_USE)
    found = {str(key): str(value) for key, value in profiles[chosen].items()}
    if secret := next((key for key in found if key in _SECRETS), None):
        raise CommandFailed(
            f"{path} holds {secret!r}, which is no place for it: use DICOM_TOKEN, token_command or a sign-in.",
            ExitCode.WRONG_USE,
        )
    return found
