"""What templates and app must agree on, which no compiler knows: each check returns its problems."""

import json
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import azure.functions as func

from devhost.event_grid.dead_letters import DEAD_LETTER_CONTAINER
from devhost.event_grid.subscriptions import FUNCTION_SUBSCRIPTIONS, QUEUE_SUBSCRIPTIONS
from scripts.bicep.rendering import Deployment, Resource
from scripts.bicep.syntax import BicepError, body, member, parse
from scripts.bicep.variants import VARIANTS, deployments, main_deployment
from scripts.deployment import verify
from shared import memory_plan
from shared.cast.settings import cast_settings, fhir_settings
from shared.errors import Misconfigured
from shared.events.dicom_events import CHANGES_PENDING
from shared.http.roles import ACTIONS, Roles
from shared.outgoing.settings import ManagedIdentity
from shared.sections import SECTIONS
from shared.settings import Settings
from tests.infra.reviewed_settings import DEFAULT_IS_RIGHT, NEVER, PLATFORM

ROOT = Path(__file__).parents[2]
ALIASES = {str(field.alias) for field in Settings.model_fields.values()}
CLIENT = {"DICOM_AUTH_CLIENT_ID": "client"}
MIB = 1024 * 1024
ROLES = {
    "12cf5a90-567b-43ae-8102-96cf46c7d9b4": "Web PubSub Service Owner",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": "Storage Queue Data Message Sender",
    "d5a91429-5739-47e2-a06b-3470a27159e7": "EventGrid Data Sender",
    "e147488a-f6f5-4113-8e2d-b22465e65bf6": "Key Vault Crypto Service Encryption User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
}
DATA_ROLES = ("Storage Blob Data Contributor", "Storage Queue Data Contributor", "Storage Table Data Contributor")
GRANTS = {
    ("id-dicom", "Storage Blob Data Owner", "storageAccounts/sthost"),
    ("id-dicom", "Storage Queue Data Contributor", "storageAccounts/sthost"),
    ("id-dicom", "Storage Table Data Contributor", "storageAccounts/sthost"),
    *(("id-dicom", role, "storageAccounts/stdicom") for role in DATA_ROLES),
    ("id-dicom", "Monitoring Metrics Publisher", "components/appi-dicom"),
    ("id-dicom", "EventGrid Data Sender", "topics/evgt-dicom"),
    ("evgst-blobs", "Storage Queue Data Message Sender", "queues/import-queue"),
    ("evgst-blobs", "Storage Blob Data Contributor", "containers/event-dead-letters"),
    ("evgt-dicom", "Storage Blob Data Contributor", "containers/event-dead-letters"),
}
"""Who has which role on what, in every variant."""
SECRETS = ("id-dicom", "Key Vault Secrets Officer", "vaults/kvs")
MORE_GRANTS = {
    "secrets of exports": {SECRETS},
    "private secrets of exports": {SECRETS},
    "own key": {("id-key", "Key Vault Crypto Service Encryption User", "keys/dicom-storage")},
    "everything": {
        ("id-key", "Key Vault Crypto Service Encryption User", "keys/dicom-storage"),
        ("id-dicom", "Web PubSub Service Owner", "webPubSub/wps-dicom"),
        SECRETS,
        *(("operators", role, "storageAccounts/stdicom") for role in DATA_ROLES),
    },
}


class Function(NamedTuple):
    """A function of the app, as the templates refer to it."""

    trigger: str
    binding: Mapping[str, Any]


REFUSED: tuple[tuple[Mapping[str, str], str], ...] = (
    ({}, "Sign-in: set createEntraApplication, authClientId, or authAuthority with authAudiences"),
    ({"DICOM_AUTH_AUTHORITY": "https://id.example"}, "Sign-in"),
    ({**CLIENT, "DICOM_CREATE_ENTRA_APPLICATION": "true"}, "exclude each other"),
    ({**CLIENT, "DICOM_HTTP_CONCURRENCY": "7"}, "Memory: httpConcurrency requests of maxRequestMiB take 4500 MB"),
    ({**CLIENT, "DICOM_MAX_REQUEST_MIB": "110"}, "Memory"),
    ({**CLIENT, "DICOM_INSTANCE_MEMORY_MB": "2048"}, "Memory"),
    ({**CLIENT, "DICOM_INSTANCE_MEMORY_MB": "512"}, "instanceMemoryMB is 512"),
    ({**CLIENT, "DICOM_MAX_REQUEST_MIB": "201"}, "maxRequestMiB is 201"),
    ({**CLIENT, "DICOM_DATA_REPLICATION": "Premium_LRS"}, "dataReplication"),
    ({**CLIENT, "DICOM_ERASURE_MODE": "off"}, "erasureMode"),
    ({**CLIENT, "DICOM_DELETE_LOCK": "yes"}, "deleteLock is a str"),
)
"""Environments that must be refused before anything is created, and why."""


def app_functions() -> dict[str, Function]:
    """The functions of the app with everything on. Needs a running loop."""
    from shared.wiring import app as wiring

    settings = Settings.from_environment(
        {
            "DicomStorage": "UseDevelopmentStorage=true",
            "AUTHENTICATION_AUTHORITY": "https://id.example",
            "AUTHENTICATION_AUDIENCES": "dicom",
            "BULK_IMPORT_ENABLED": "true",
        }
    )
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    for blueprint in wiring.blueprints(settings):
        app.register_functions(blueprint)
    return {
        each.get_function_name(): Function(each.get_trigger().get_binding_name(), each.get_trigger().get_dict_repr())
        for each in app.get_functions()
    }


def app_settings(deployment: Deployment) -> dict[str, str]:
    """The rendered app settings."""
    settings: dict[str, str] = deployment.one("settings").content["properties"]
    return settings


_SIGN_IN = ManagedIdentity("https://ws-fhir.fhir.azurehealthcareapis.com/.default")
"""Of the service with the FHIR server of the variants."""


def settings(rendered: Mapping[str, Deployment]) -> Iterator[str]:
    for variant in VARIANTS:
        values = app_settings(rendered[variant])
        for name, value in values.items():
            if not isinstance(value, str):
                yield f"{variant}: {name} is a {type(value).__name__}"
        sections = {name for name in values if name.partition("__")[0].lower() in SECTIONS}
        yield from (f"{variant}: nothing reads {name}" for name in values.keys() - ALIASES - PLATFORM - sections)
        yield from (f"{variant}: {name} is never set" for name in values.keys() & NEVER)
        for name in ALIASES - values.keys() - DEFAULT_IS_RIGHT - NEVER:
            yield f"{variant}: {name} is missing: main.bicep sets it, or DEFAULT_IS_RIGHT says that nobody needs to"
        yield from (f"{variant}: {name} is missing" for name in PLATFORM - values.keys())
        try:
            loaded = Settings.from_environment({**values, "WEBSITE_HOSTNAME": "func-dicom.azurewebsites.example"})
        except Misconfigured as error:
            yield f"{variant}: the app does not load: {error}"
            continue
        yield from _casting(variant, loaded)
        yield from settings_problems(variant, loaded, values, rendered[variant])


def _casting(variant: str, loaded: Settings) -> Iterator[str]:
    if not loaded.dicomcast:
        return
    cast, fhir = cast_settings(loaded.sections), fhir_settings(loaded.sections)
    if fhir.authentication != _SIGN_IN:
        yield f"{variant}: DICOMcast signs in otherwise"
    if not cast.base.endswith(".azurewebsites.net/v2"):
        yield f"{variant}: FHIR is told another address of the service: {cast.base}"


def settings_problems(
    variant: str, loaded: Settings, values: Mapping[str, str], deployment: Deployment
) -> Iterator[str]:
    site = deployment.one("app")
    scale = site.at("properties.functionAppConfig.scaleAndConcurrency")
    memory = scale["instanceMemoryMB"]
    requests = scale["triggers"]["http"]["perInstanceConcurrency"]
    needed = memory_plan.needed(requests, loaded.max_request_bytes, loaded.transcode_memory_bytes)
    rules = {
        "sign-in is off": loaded.authentication == "openid",
        "INDEX_SHARDS is not 16": loaded.index_shards == 16,
        "the limit of the host is not above ours": loaded.host_body_bytes == loaded.max_request_bytes + MIB,
        "requests do not fit the memory": needed <= memory * MIB,
        "storage by connection string": not loaded.storage_connection and bool(loaded.blob_service_uri),
        "the app is told of another memory": (loaded.instance_memory_mib, loaded.http_concurrency)
        == (memory, requests),
        "events are off": bool(loaded.events_topic and loaded.events_source),
        "the identity is not the app's": len({values["AZURE_CLIENT_ID"], loaded.identity_client_id}) == 1,
    }
    yield from (f"{variant}: {rule}" for rule, holds in rules.items() if not holds)


def subscriptions(events: Deployment, functions: Mapping[str, Function]) -> Iterator[str]:
    expected: dict[str, tuple[str, ...]] = {}
    for name, function in functions.items():
        if function.trigger == "blobTrigger":
            expected[name.replace("_", "-")] = ("WebHook", name, function.binding["path"].partition("/")[0])
    for declared in FUNCTION_SUBSCRIPTIONS:
        expected[declared.name] = ("AzureFunction", declared.function, *sorted(declared.event_types))
    for queued in QUEUE_SUBSCRIPTIONS:
        queue = functions[queued.function].binding["queueName"]
        expected[queued.name] = ("StorageQueue", queue, queued.default)
    found = {str(each.content["name"]): _subscription(each) for each in events.resources if "eventSub" in each.kind}
    for name in expected.keys() | found.keys():
        if found.get(name) != expected.get(name):
            yield f"the subscription {name} is {found.get(name)}, and should be {expected.get(name)}"
    triggers = {"WebHook": "blobTrigger", "AzureFunction": "eventGridTrigger"}
    for name, (kind, target, *_) in found.items():
        if kind in triggers and (target not in functions or functions[target].trigger != triggers[kind]):
            yield f"the subscription {name} goes to {target}, which is no {triggers[kind]}"
    if FUNCTION_SUBSCRIPTIONS[0].event_types != {CHANGES_PENDING}:
        yield f"{FUNCTION_SUBSCRIPTIONS[0].event_types} is not what the app publishes"


def _subscription(resource: Resource) -> tuple[str, ...]:
    content = resource.content["properties"]
    container = re.fullmatch(
        r"/blobServices/default/containers/([a-z-]+)/", content["filter"].get("subjectBeginsWith", "")
    )
    place = container[1] if container else ""
    destination = content.get("destination") or content["deliveryWithResourceIdentity"]["destination"]
    properties = destination["properties"]
    schema = "CloudEventSchemaV1_0" if destination["endpointType"] == "AzureFunction" else "EventGridSchema"
    if content["eventDeliverySchema"] != schema:
        return (destination["endpointType"], content["eventDeliverySchema"])
    match destination["endpointType"]:
        case "WebHook":
            function = re.search(
                r"runtime/webhooks/blobs\?functionName=Host\.Functions\.(\w+)&code=", properties["endpointUrl"]
            )
            return ("WebHook", function[1] if function else properties["endpointUrl"], place)
        case "AzureFunction":
            return (
                "AzureFunction",
                properties["resourceId"].rpartition("/functions/")[2],
                *content["filter"]["includedEventTypes"],
            )
        case kind:
            return (kind, properties["queueName"], place)


def places(rendered: Mapping[str, Deployment]) -> Iterator[str]:
    defaults = Settings.model_construct()
    containers = {defaults.container, defaults.import_container, defaults.import_error_container, DEAD_LETTER_CONTAINER}
    queues = {defaults.import_queue, f"{defaults.import_queue}-poison", defaults.import_error_queue}
    for variant in VARIANTS:
        deployed = rendered[variant]
        kind = "Microsoft.Storage/storageAccounts/blobServices/containers"
        made = {str(each.content["name"]) for each in deployed.of(kind)} - {"app-package"}
        if made != containers:
            yield f"{variant}: the containers are {sorted(made)}"
        found = {
            str(each.content["name"]) for each in deployed.of("Microsoft.Storage/storageAccounts/queueServices/queues")
        }
        if found != queues:
            yield f"{variant}: the queues are {sorted(found)}"
    erased = next(
        each.at("properties.deleteRetentionPolicy.days")
        for each in rendered["erase"].of("Microsoft.Storage/storageAccounts/blobServices")
        if each.where.startswith("dicom-storage")
    )
    if erased * 24 != defaults.deleted_retention_hours:
        yield f"erase keeps for {erased} days"


def runtime(rendered: Mapping[str, Deployment]) -> Iterator[str]:
    version = rendered["trial"].one("app").at("properties.functionAppConfig.runtime.version")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    tested = ".".join(map(str, sys.version_info[:2]))
    if not version == project == tested:
        yield f"Azure runs Python {version}, the project needs {project}, the tests run {tested}"


def grants(rendered: Mapping[str, Deployment]) -> Iterator[str]:
    for variant in VARIANTS:
        found = {grant(each) for each in rendered[variant].of("Microsoft.Authorization/roleAssignments")}
        expected = GRANTS | MORE_GRANTS.get(variant, set())
        yield from (f"{variant}: nobody needs {each}" for each in found - expected)
        yield from (f"{variant}: missing {each}" for each in expected - found)


def grant(resource: Resource) -> tuple[str, str, str]:
    content = resource.content["properties"]
    who = re.sub(r"-[0-9a-f]{13}$", "", str(content["principalId"]).partition("/")[0])
    where = "/".join(resource.content["scope"]["id"].rsplit("/", 2)[1:])
    role = content["roleDefinitionId"].rpartition("/")[2]
    return who, ROLES.get(role, role), re.sub(r"-?[0-9a-f]{13}$", "", where)


def order(infra: Path) -> Iterator[str]:
    """Conditions of order that no reference implies: the first start of the app already needs its roles."""
    app = parse(infra / "main.bicep").declarations["functionApp"].value
    before = member(body(app), "dependsOn") if app else None
    if before is None or "roleAssignments" not in before.text:
        yield "the app is made before its roles"


def verified_functions(functions: Mapping[str, Function]) -> Iterator[str]:
    for name in sorted({*verify.FUNCTIONS, verify.IMPORT_FUNCTION} - functions.keys()):
        yield f"a deployment waits for {name}, which is no function"


def watched_timers(rendered: Mapping[str, Deployment], functions: Mapping[str, Function]) -> Iterator[str]:
    for rule in rendered["watched"].of("Microsoft.Insights/scheduledQueryRules"):
        query = rule.at("properties.criteria")["allOf"][0]["query"]
        for name in re.findall(r'Name == "(\w+)"', query):
            if name not in functions or functions[name].trigger != "timerTrigger":
                yield f"{rule.content['name']} waits for {name}, which is no timer"


def host(file: Path) -> Iterator[str]:
    """What `host.json` must say: audit records are kept, streams are not cut, queries do not reach the telemetry."""
    content = json.loads(file.read_text())
    insights = content["logging"]["applicationInsights"]
    sampled = {"Trace", "Request", "Exception"} - set(insights["samplingSettings"]["excludedTypes"].split(";"))
    rules = {
        f"host.json: {sorted(sampled)} are sampled": not sampled,
        "host.json: dependencies are tracked": insights["enableDependencyTracking"] is False,
        "host.json: a function has a time limit": content["functionTimeout"] == "-1",
        "host.json: another extension bundle": content["extensionBundle"]["version"] == "[4.*, 5.0.0)",
        "host.json: paths have a prefix": content["extensions"]["http"]["routePrefix"] == "",
        "host.json: lines of functions are not kept": content["logging"]["logLevel"].get("Function") == "Information",
    }
    yield from (rule for rule, holds in rules.items() if not holds)


def app_roles(rendered: Mapping[str, Deployment]) -> Iterator[str]:
    """The app roles of a created application give what their names say, by the default roles document."""
    application = rendered["new application"].one("application")
    given = {role["value"]: Roles().permissions([role["value"]]).actions for role in application.content["appRoles"]}
    if given != {"DICOM.Data.Owner": ACTIONS, "DICOM.Data.Reader": {"read"}}:
        yield f"the app roles give {given}"


def copied(infra: Path, place: Path) -> Path:
    """A copy of the templates, and of `host.json` beside them, to be changed."""
    shutil.copy(infra.parent / "host.json", place)
    return Path(shutil.copytree(infra, place / "infra"))


def refusals(infra: Path) -> Iterator[str]:
    for environment, reason in REFUSED:
        try:
            main_deployment(infra, environment)
            yield f"accepted: {environment}"
        except BicepError as error:
            if reason not in str(error):
                yield f"{environment}: {error}"


def every_problem(root: Path, functions: Mapping[str, Function]) -> list[str]:
    """The problems of all contracts, for the templates of a folder."""
    try:
        rendered = deployments(root)
    except BicepError as error:
        return [str(error)]
    return [
        *refusals(root),
        *settings(rendered),
        *subscriptions(rendered["events"], functions),
        *places(rendered),
        *runtime(rendered),
        *grants(rendered),
        *order(root),
        *verified_functions(functions),
        *watched_timers(rendered, functions),
        *app_roles(rendered),
        *host(root.parent / "host.json"),
    ]
