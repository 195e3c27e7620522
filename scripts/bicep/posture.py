"""The security posture of rendered resources: values that must be there, and things that must not."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from scripts.bicep.rendering import Deployment, Resource
from scripts.bicep.syntax import parse

_LETTERS: Final = "properties.deadLetterWithResourceIdentity"
_DEAD_LETTERS: Final = {
    f"{_LETTERS}.identity.type": "SystemAssigned",
    f"{_LETTERS}.deadLetterDestination.endpointType": "StorageBlob",
    f"{_LETTERS}.deadLetterDestination.properties.blobContainerName": "event-dead-letters",
    "properties.retryPolicy.maxDeliveryAttempts": 30,
    "properties.retryPolicy.eventTimeToLiveInMinutes": 1440,
}
REQUIRED: Final[Mapping[str, Mapping[str, Any]]] = {
    "Microsoft.Storage/storageAccounts": {
        "properties.allowSharedKeyAccess": False,
        "properties.allowBlobPublicAccess": False,
        "properties.allowCrossTenantReplication": False,
        "properties.defaultToOAuthAuthentication": True,
        "properties.minimumTlsVersion": "TLS1_2",
        "properties.supportsHttpsTrafficOnly": True,
        "properties.networkAcls.bypass": "AzureServices",
    },
    "Microsoft.Storage/storageAccounts/blobServices": {"properties.deleteRetentionPolicy.enabled": True},
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"properties.publicAccess": "None"},
    "Microsoft.KeyVault/vaults": {
        "properties.enableRbacAuthorization": True,
        "properties.enablePurgeProtection": True,
        "properties.enableSoftDelete": True,
    },
    "Microsoft.EventGrid/topics": {
        "identity.type": "SystemAssigned",
        "properties.disableLocalAuth": True,
        "properties.inputSchema": "CloudEventSchemaV1_0",
        "properties.minimumTlsVersionAllowed": "1.2",
    },
    "Microsoft.EventGrid/systemTopics": {"identity.type": "SystemAssigned"},
    "Microsoft.EventGrid/topics/eventSubscriptions": _DEAD_LETTERS,
    "Microsoft.EventGrid/systemTopics/eventSubscriptions": _DEAD_LETTERS,
    "Microsoft.Insights/components": {"properties.DisableLocalAuth": True},
    "Microsoft.OperationalInsights/workspaces": {"properties.features.disableLocalAuth": True},
    "Microsoft.SignalRService/webPubSub": {"properties.disableLocalAuth": True},
    "Microsoft.SignalRService/webPubSub/hubs": {"properties.anonymousConnectPolicy": "deny"},
    "Microsoft.Web/serverfarms": {"sku.name": "FC1", "sku.tier": "FlexConsumption", "properties.reserved": True},
    "Microsoft.Web/sites": {
        "identity.type": "UserAssigned",
        "properties.httpsOnly": True,
        "properties.siteConfig.minTlsVersion": "1.2",
        "properties.siteConfig.cors.allowedOrigins": [],
        "properties.functionAppConfig.deployment.storage.authentication.type": "UserAssignedIdentity",
    },
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": {"properties.allow": False},
    "Microsoft.Graph/applications": {"signInAudience": "AzureADMyOrg", "api.requestedAccessTokenVersion": 2},
    "Microsoft.Graph/servicePrincipals": {"appRoleAssignmentRequired": True},
}
"""Type to path to the only value that is right."""

NEVER_SETTINGS: Final = re.compile(
    r"WEBSITE_.*|TABLE_SPREAD|AUTHENTICATION_MODE|.*_KEY|AzureWebJobsStorage|DicomStorage|ImportStorage"
    r"|ENABLE_ORYX_BUILD|SCM_DO_BUILD_DURING_DEPLOYMENT|FUNCTIONS_WORKER_RUNTIME|FUNCTIONS_EXTENSION_VERSION"
)
"""App settings that hold keys, that the platform alone may say, or that do not belong on the plan."""
_NEVER_TEXT: Final = re.compile(r"AccountKey=|SharedAccessKey|SharedAccessSignature|[?&]sig=|InstrumentationKey=")
_SECRET_NAME: Final = re.compile(r"key$|secret|password|token$", re.IGNORECASE)
_NEVER_SITE_CONFIG: Final = ("authsettings", "authsettingsV2")
_APP_VAULT: Final = "kvs-"
"""The vault that the app reads: without a network of its own it has no other way there than the public one."""
_KEYS_ARE_READ_IN: Final = "events.bicep"


def check(root: Path, deployments: Mapping[str, Deployment]) -> list[str]:
    """The problems of every variant, and of the sources."""
    found: list[str] = []
    for deployment in deployments.values():
        for resource in deployment.resources:
            found += _resource(resource)
    for path in sorted(root.rglob("*.bicep")):
        found += _source(path)
    return list(dict.fromkeys(found))


def _resource(resource: Resource) -> Iterator[str]:
    for path, wanted in REQUIRED.get(resource.kind, {}).items():
        value = resource.at(path)
        if value != wanted or type(value) is not type(wanted):
            yield f"{resource.where}: {path} is {value!r}, and must be {wanted!r}"
    name = str(resource.content.get("name", ""))
    is_vault = resource.kind == "Microsoft.KeyVault/vaults"
    if is_vault and resource.at("properties.networkAcls.defaultAction") != "Deny" and not name.startswith(_APP_VAULT):
        yield f"{resource.where}: properties.networkAcls.defaultAction must be 'Deny'"
    if resource.kind == "Microsoft.Web/sites/config" and name.startswith(_NEVER_SITE_CONFIG):
        yield f"{resource.where}: the platform's authentication can be misled; tokens are checked in code"
    if resource.kind == "Microsoft.Web/sites/config" and name == "appsettings":
        for setting in resource.content["properties"]:
            if NEVER_SETTINGS.fullmatch(setting):
                yield f"{resource.where}: {setting} is never set by a deployment"
    plain = {key: value for key, value in resource.content.items() if key not in {"parent", "scope"}}
    rendered = json.dumps(plain, default=str)
    if resource.kind.endswith("/managementPolicies") and "tierTo" in rendered:
        yield f"{resource.where}: a rule by prefix moves the documents beside a file, too"
    if _NEVER_TEXT.search(rendered):
        yield f"{resource.where}: a credential"


def _source(path: Path) -> Iterator[str]:
    source = path.read_text()
    if path.name != _KEYS_ARE_READ_IN and re.search(r"\blist\w*\(", source):
        yield f"{path.name}: keys are read in {_KEYS_ARE_READ_IN} alone"
    for name in parse(path).outputs:
        if _SECRET_NAME.search(name):
            yield f"{path.name}: the output {name} looks like a secret"
