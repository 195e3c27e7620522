"""The second phase of a deployment: waits for the app, then subscribes it to events. Repeating it is harmless.

Event Grid calls the app before it accepts a subscription, and the key of the blob webhook exists only once the app has
started with its functions; the key itself never passes through here (infra/events.bicep).
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from scripts.deployment import Unusable, verify
from scripts.deployment.azure import Azure, RealAzure, Refused

TEMPLATE: Final = Path(__file__).parents[2] / "infra/events.bicep"
PARAMETERS: Final = {
    "functionAppName": "AZURE_FUNCTION_APP_NAME",
    "blobTopicName": "DICOM_BLOB_TOPIC_NAME",
    "dicomTopicName": "DICOM_EVENTS_TOPIC_NAME",
    "dicomStorageName": "DICOM_STORAGE_NAME",
    "bulkImport": "DICOM_IMPORT_SUBSCRIBED",
    "worklistName": "DICOM_WORKLIST_NAME",
}
"""Parameters of the template, from the outputs of the first phase."""
_HEALTH_TRIES: Final = 60
_HEALTH_SECONDS: Final = 15.0
"""A quarter of an hour: roles take up to ten minutes to be known everywhere."""
_TRIES: Final = 5
_SECONDS: Final = 30.0


def subscribe(azure: Azure) -> None:
    """The whole phase. Raises Unusable, which says what to look at."""
    values = {name: _output(azure, variable) for name, variable in PARAMETERS.items()}
    values["bulkImport"] = values["bulkImport"].lower()
    group = _output(azure, "AZURE_RESOURCE_GROUP")
    url = _output(azure, "DICOM_SERVICE_URL")
    _await_health(azure, url)
    _await_key(azure, group, values["functionAppName"])
    assignments = [f"{name}={value}" for name, value in values.items()]
    _repeat(
        azure,
        *("deployment", "group", "create", "--resource-group", group, "--name", "dicom-events"),
        *("--template-file", str(TEMPLATE), "--parameters", *assignments),
    )
    if values["bulkImport"] != "true":
        _unsubscribe_import(azure, group, values["blobTopicName"])
    found = list(verify.problems(azure, values, group))
    if found:
        raise Unusable("\n".join(found))
    print(f"The service is at {url}. Whether it works: TOKEN=... make smoke URL={url} (docs/operate/smoke.md)")


def _output(azure: Azure, name: str) -> str:
    value = azure.environment.get(name, "")
    if not value:
        raise Unusable(f"{name} is not set: the first phase has not run. azd provision")
    return value


def _await_health(azure: Azure, url: str) -> None:
    status, body = 0, b""
    for attempt in range(_HEALTH_TRIES):
        status, body = azure.get(f"{url}/health/check")
        if status == 200:
            return
        if attempt % 4 == 0:
            print(f"Waiting for the app to start ({_state(status, body)}) ...")
        azure.wait(_HEALTH_SECONDS)
    raise Unusable(
        f"The app does not start: {_state(status, body)}. Its log: az webapp log tail, or Application Insights.\n"
        "When it does, go on with: azd hooks run postdeploy"
    )


def _state(status: int, body: bytes) -> str:
    try:
        unwell = [
            f"{each['name']} {each['status']}" for each in json.loads(body)["details"] if each["status"] != "Healthy"
        ]
    except (ValueError, KeyError, TypeError):
        return f"status {status}" if status else "no answer"
    return ", ".join(unwell) or f"status {status}"


def _await_key(azure: Azure, group: str, app: str) -> None:
    """The webhook of the blob trigger has its key: the host has started with the functions."""
    query = "systemKeys.blobs_extension != null"
    for _ in range(_TRIES):
        try:
            if azure.az("functionapp", "keys", "list", "--resource-group", group, "--name", app, "--query", query):
                return
        except Refused as error:
            print(f"The keys of the app cannot be listed yet: {_line(error)}")
        azure.wait(_SECONDS)
    raise Unusable(
        "The app has no key for blob events: its functions were not indexed. azd deploy, then look at its log."
    )


def _repeat(azure: Azure, *command: str) -> Any:
    for attempt in range(1, _TRIES + 1):
        try:
            return azure.az(*command)
        except Refused as error:
            if attempt == _TRIES:
                raise Unusable(f"The event subscriptions could not be made:\n{error}") from error
            print(f"Event Grid did not reach the app yet, once more in {_SECONDS:.0f} s: {_line(error)}")
            azure.wait(_SECONDS)
    raise AssertionError


def _unsubscribe_import(azure: Azure, group: str, topic: str) -> None:
    """A subscription from before import was switched off would fill a queue that nobody reads."""
    there = ("eventgrid", "system-topic", "event-subscription")
    place = ("--resource-group", group, "--system-topic-name", topic)
    if any(each["name"] == "import" for each in azure.az(*there, "list", *place) or ()):
        azure.az(*there, "delete", *place, "--name", "import", "--yes")


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def main(azure: Azure) -> int:
    """Exit status 1 with the reason."""
    try:
        subscribe(azure)
    except (Refused, Unusable) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(RealAzure()))
