"""Configuration of the host: host.json and the app settings."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

DEVELOPMENT_STORAGE: Final = "UseDevelopmentStorage=true"
DEFAULT_BODY_LIMIT: Final = 104_857_600
"""Bytes of a request body that the host accepts when FUNCTIONS_REQUEST_BODY_SIZE_LIMIT is not set."""


class Unusable(Exception):
    """The app or its configuration cannot be run; the text says why."""


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """`extensions.queues` of host.json."""

    batch_size: int = 16
    max_dequeue_count: int = 5
    max_polling_interval: float = 60.0
    visibility_timeout: float = 0.0
    base64: bool = True


@dataclass(frozen=True, slots=True)
class HostOptions:
    """host.json. Times are seconds."""

    route_prefix: str = "api"
    function_timeout: float | None = 1800.0
    extension_bundle: bool = False
    queues: QueueOptions = field(default_factory=QueueOptions)
    blob_parallelism: int = 8
    blob_tries: int = 5


def seconds_of(text: str) -> float:
    """A .NET time span such as `00:30:00` or `1.00:00:00`, in seconds. Raises Unusable."""
    match = re.fullmatch(r"(?:(\d+)\.)?(\d+):(\d+):(\d+(?:\.\d+)?)", text)
    if match is None:
        raise Unusable(f"{text!r} is not a time span")
    days, hours, minutes, seconds = match.groups()
    span = timedelta(days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return span.total_seconds()


def _json_file(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise Unusable(f"{path.name} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise Unusable(f"{path.name} is not a JSON object")
    return content


def _set_path(content: dict[str, Any], path: list[str], value: str) -> None:
    for key in path[:-1]:
        inner = content.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        content = inner
    content[path[-1]] = value


def read_host_json(app: Path, settings: Mapping[str, str]) -> HostOptions:
    """Read host.json of the app; settings named `AzureFunctionsJobHost__a__b` override it. Raises Unusable."""
    path = app / "host.json"
    if not path.exists():
        raise Unusable(f"{app} has no host.json, so it is not a function app")
    content = _json_file(path)
    for name, value in settings.items():
        if name.startswith("AzureFunctionsJobHost__"):
            _set_path(content, name.split("__")[1:], value)
    if content.get("version") != "2.0":
        raise Unusable("host.json must say version 2.0")
    extensions = content.get("extensions", {})
    queues, blobs = extensions.get("queues", {}), extensions.get("blobs", {})
    timeout = str(content.get("functionTimeout", "00:30:00"))
    return HostOptions(
        route_prefix=str(extensions.get("http", {}).get("routePrefix", "api")).strip("/"),
        function_timeout=None if timeout == "-1" else seconds_of(timeout),
        extension_bundle=bool(content.get("extensionBundle", {}).get("id")),
        queues=QueueOptions(
            batch_size=int(queues.get("batchSize", 16)),
            max_dequeue_count=int(queues.get("maxDequeueCount", 5)),
            max_polling_interval=seconds_of(str(queues.get("maxPollingInterval", "00:01:00"))),
            visibility_timeout=seconds_of(str(queues.get("visibilityTimeout", "00:00:00"))),
            base64=str(queues.get("messageEncoding", "base64")).lower() == "base64",
        ),
        blob_parallelism=int(blobs.get("maxDegreeOfParallelism", 8)),
        blob_tries=int(blobs.get("poisonBlobThreshold", 5)),
    )


def settings_file(app: Path) -> Path | None:
    """`local.settings.json` of the app, or `local.settings.sample.json`, or None."""
    files = (app / "local.settings.json", app / "local.settings.sample.json")
    return next((path for path in files if path.exists()), None)


def read_settings(path: Path | None, environment: Mapping[str, str]) -> dict[str, str]:
    """The app settings: `Values` of the file, over which the existing environment wins. Raises Unusable."""
    content = _json_file(path) if path else {}
    if content.get("IsEncrypted") is True:
        raise Unusable(f"the values of {path} are encrypted")
    values = content.get("Values", {})
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise Unusable(f"Values of {path} must be an object of texts")
    return {**values, **environment}


def resolved(text: str, settings: Mapping[str, str]) -> str:
    """`text` of a binding with each `%NAME%` replaced by that app setting. Raises Unusable."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not settings.get(name):
            raise Unusable(f"a binding names the app setting {name}, which is not set")
        return settings[name]

    return re.sub(r"%([^%]+)%", value, text)


def connection_of(name: str, settings: Mapping[str, str]) -> str:
    """The connection string behind the `connection` of a binding. Raises Unusable."""
    name = name or "AzureWebJobsStorage"
    value = settings.get(name) or settings.get(f"AzureWebJobs{name}")
    if not value:
        raise Unusable(f"a trigger needs the connection string {name}, which is not set")
    return value


def with_storage(settings: Mapping[str, str], connection_string: str) -> dict[str, str]:
    """The settings with `UseDevelopmentStorage=true` replaced by the connection string of the emulator that runs."""
    return {
        name: connection_string if value.strip().rstrip(";") == DEVELOPMENT_STORAGE else value
        for name, value in settings.items()
    }


def with_secrets(settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The settings with a store of secrets below `folder`, unless they name one: what needs a secret works at once."""
    if settings.get("SECRET_STORE"):
        return dict(settings)
    return {**settings, "SECRET_STORE": (folder.resolve() / "secrets").as_uri()}


def needs_emulator(settings: Mapping[str, str]) -> bool:
    """Whether a setting says `UseDevelopmentStorage=true`."""
    return any(value.strip().rstrip(";") == DEVELOPMENT_STORAGE for value in settings.values())
