"""What a deployment can see of itself when it is done: functions, subscriptions and settings as they are on Azure.

`make smoke` then asks the service what a client would.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from scripts.deployment.azure import Azure

FUNCTIONS: Final = frozenset({"append_changes", "health_check", "housekeeping", "index_instance"})
"""Some of each kind of trigger: when they are there, the app was indexed."""
IMPORT_FUNCTION: Final = "import_instance"
SETTINGS: Final = frozenset({"AUTHENTICATION_AUDIENCES", "DicomStorage__blobServiceUri", "DICOM_EVENTS_TOPIC"})
"""Some of the template's: when they are there, the app has its settings."""
NEVER: Final = frozenset({"AUTHENTICATION_MODE", "TABLE_SPREAD", "WEBSITE_AUTH_ENABLED"})


def problems(azure: Azure, values: Mapping[str, str], group: str) -> Iterator[str]:
    """What is not as the templates say. `values` are the parameters of the event template. Raises Refused."""
    imports = values["bulkImport"] == "true"
    app = ("--resource-group", group, "--name", values["functionAppName"])
    listed = azure.az("functionapp", "function", "list", *app, "--query", "[].name") or ()
    functions = {str(name).rpartition("/")[2] for name in listed}
    wanted = FUNCTIONS | {IMPORT_FUNCTION} if imports else FUNCTIONS
    for name in sorted(wanted - functions):
        yield f"The app has no function {name}: the package is another, or it did not load. azd deploy, then its log."
    settings = set(azure.az("functionapp", "config", "appsettings", "list", *app, "--query", "[].name") or ())
    yield from (f"The app setting {name} is missing: azd provision." for name in sorted(SETTINGS - settings))
    yield from (f"The app setting {name} is there and must not be: remove it." for name in sorted(NEVER & settings))
    if azure.az("functionapp", "cors", "show", *app, "--query", "allowedOrigins"):
        yield "CORS of the platform is on and keeps headers from viewers: remove its origins."
    yield from _subscriptions(azure, values, group, imports=imports)


def _subscriptions(azure: Azure, values: Mapping[str, str], group: str, *, imports: bool) -> Iterator[str]:
    place = ("event-subscription", "list", "--resource-group", group)
    found = {
        each["name"]: each["provisioningState"]
        for topic in (
            ("system-topic", *place, "--system-topic-name", values["blobTopicName"]),
            ("topic", *place, "--topic-name", values["dicomTopicName"]),
        )
        for each in azure.az("eventgrid", *topic) or ()
    }
    for name in ("append-changes", "index-instance", *(["import"] if imports else [])):
        if found.get(name) != "Succeeded":
            yield f"The event subscription {name} is {found.get(name, 'missing')}: azd hooks run postdeploy."
