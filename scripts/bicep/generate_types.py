"""Writes infra/resource-types.json: the properties that the Bicep files use, with the types that Azure gives them.

`scripts/generate-resource-types` runs it in an environment of its own. The types come from the models of the
`azure-mgmt-*` packages, which carry the names of the REST API; they are large and needed nowhere else, so they are no
dependency of the project. A property that no model has is reported.
"""

import contextlib
import enum
import functools
import importlib
import inspect
import json
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from scripts.bicep.properties import FILE, kind_of
from scripts.bicep.variants import deployments

PACKAGES: Final = {
    "Microsoft.Authorization/roleAssignments": ("authorization", "RoleAssignmentCreateParameters"),
    "Microsoft.EventGrid/systemTopics": ("eventgrid", "SystemTopic"),
    "Microsoft.EventGrid/systemTopics/eventSubscriptions": ("eventgrid", "EventSubscription"),
    "Microsoft.EventGrid/topics": ("eventgrid", "Topic"),
    "Microsoft.EventGrid/topics/eventSubscriptions": ("eventgrid", "EventSubscription"),
    "Microsoft.Insights/actionGroups": ("monitor", "ActionGroupResource"),
    "Microsoft.Insights/components": ("applicationinsights", "ApplicationInsightsComponent"),
    "Microsoft.Insights/metricAlerts": ("monitor", "MetricAlertResource"),
    "Microsoft.Insights/scheduledQueryRules": ("monitor", "ScheduledQueryRuleResource"),
    "Microsoft.Insights/workbooks": ("applicationinsights", "Workbook"),
    "Microsoft.KeyVault/vaults": ("keyvault", "VaultCreateOrUpdateParameters"),
    "Microsoft.KeyVault/vaults/keys": ("keyvault", "Key"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("msi", "Identity"),
    "Microsoft.Network/natGateways": ("network", "NatGateway"),
    "Microsoft.Network/privateDnsZones": ("privatedns", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": ("privatedns", "VirtualNetworkLink"),
    "Microsoft.Network/privateEndpoints": ("network", "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": ("network", "PrivateDnsZoneGroup"),
    "Microsoft.Network/publicIPAddresses": ("network", "PublicIPAddress"),
    "Microsoft.Network/virtualNetworks": ("network", "VirtualNetwork"),
    "Microsoft.OperationalInsights/workspaces": ("loganalytics", "Workspace"),
    "Microsoft.Resources/resourceGroups": ("resource.resources", "ResourceGroup"),
    "Microsoft.SignalRService/webPubSub": ("webpubsub", "WebPubSubResource"),
    "Microsoft.SignalRService/webPubSub/hubs": ("webpubsub", "WebPubSubHub"),
    "Microsoft.Storage/storageAccounts": ("storage", "StorageAccountCreateParameters"),
    "Microsoft.Storage/storageAccounts/blobServices": ("storage", "BlobServiceProperties"),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ("storage", "BlobContainer"),
    "Microsoft.Storage/storageAccounts/managementPolicies": ("storage", "ManagementPolicy"),
    "Microsoft.Storage/storageAccounts/queueServices": ("storage", "QueueServiceProperties"),
    "Microsoft.Storage/storageAccounts/queueServices/queues": ("storage", "StorageQueue"),
    "Microsoft.Storage/storageAccounts/tableServices": ("storage", "TableServiceProperties"),
    "Microsoft.Web/serverfarms": ("web", "AppServicePlan"),
    "Microsoft.Web/sites": ("web", "Site"),
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": ("web", "CsmPublishingCredentialsPoliciesEntity"),
}
READ_FROM: Final = {"Microsoft.Storage/storageAccounts": "StorageAccount", "Microsoft.KeyVault/vaults": "Vault"}
"""Where what is read is another model than what is sent."""
BY_HAND: Final = {
    "Microsoft.Authorization/locks": {"properties": {"level": ["CanNotDelete", "ReadOnly"], "notes": "string"}},
    "Microsoft.Insights/diagnosticSettings": {
        "properties": {
            "workspaceId": "string",
            "logs": {"[]": {"category": "string", "categoryGroup": "string", "enabled": "boolean"}},
        }
    },
    "Microsoft.Web/sites/config/appsettings": {"properties": "any"},
    "Microsoft.Graph/applications": {
        "uniqueName": "string",
        "displayName": "string",
        "signInAudience": "string",
        "appId": "string",
        "spa": {"redirectUris": {"[]": "string"}},
        "api": {
            "requestedAccessTokenVersion": "integer",
            "oauth2PermissionScopes": {
                "[]": {
                    "id": "string",
                    "type": ["User", "Admin"],
                    "value": "string",
                    "isEnabled": "boolean",
                    "adminConsentDisplayName": "string",
                    "adminConsentDescription": "string",
                }
            },
            "preAuthorizedApplications": {"[]": {"appId": "string", "delegatedPermissionIds": {"[]": "string"}}},
        },
        "appRoles": {
            "[]": {
                "id": "string",
                "value": "string",
                "displayName": "string",
                "description": "string",
                "allowedMemberTypes": {"[]": ["User", "Application"]},
                "isEnabled": "boolean",
            }
        },
    },
    "Microsoft.Graph/servicePrincipals": {"appId": "string", "appRoleAssignmentRequired": "boolean"},
    "Microsoft.Graph/appRoleAssignedTo": {"principalId": "string", "resourceId": "string", "appRoleId": "string"},
}
"""Types without a package: from the documentation of the management API and of Microsoft Graph."""


class _Models:
    """The models of one package."""

    def __init__(self, package: str) -> None:
        self.module = importlib.import_module(f"azure.mgmt.{package}.models")

    def shape(self, declared: str) -> Any:
        """What a type in a signature stands for: a leaf, a list, or the name of a model as ('model', name)."""
        for pattern in (r"^\{(?P<map>.*)\}$", r"[dD]ict\[", r"^object$|JSON|Any\b"):
            if re.search(pattern, declared):
                return "any"
        found = re.match(r"^\[(.*)\]$", declared) or re.search(r"\b[lL]ist\[(.*?)\]+$", declared)
        if found:
            return {"[]": self.shape(found[1].strip("\"'"))}
        for name in re.findall(
            r"[A-Z]\w+", declared.replace("Optional", "").replace("Union", "").replace("Literal", "")
        ):
            model = getattr(self.module, name, None)
            if isinstance(model, type) and issubclass(model, enum.Enum):
                return sorted(str(each.value) for each in model)
            if model is not None:
                return ("model", name)
        for kind, pattern in (("boolean", r"\bbool\b"), ("integer", r"\b(int|long)\b"), ("string", r"\bstr\b")):
            if re.search(pattern, declared):
                return kind
        return "any"

    @functools.cache  # noqa: B019 - a program of one minute
    def fields(self, name: str) -> dict[str, Any]:
        """Property name to type, of a model and everything that it may be."""
        model = getattr(self.module, name)
        found: dict[str, Any] = {}
        if hasattr(model, "_attribute_map"):
            for attribute in model._attribute_map.values():  # noqa: SLF001 - the only place where the names are
                into = found
                *outer, last = attribute["key"].replace("\\.", "\0").split(".")
                for each in outer:
                    into = into.setdefault(each, {})
                into[last.replace("\0", ".")] = self.shape(attribute["type"])
            kinds = [each for table in getattr(model, "_subtype_map", {}).values() for each in table.values()]
        else:
            with contextlib.suppress(Exception):
                model({})  # fills the tables
            for attribute, field in model._attr_to_rest_field.items():  # noqa: SLF001 - likewise
                declared = next(
                    (
                        str(each.__annotations__[attribute])
                        for each in model.__mro__
                        if attribute in inspect.get_annotations(each)
                    ),
                    "",
                )
                found[field._rest_name] = self.shape(declared)  # noqa: SLF001 - likewise
            kinds = [each.__name__ for each in getattr(model, "__mapping__", {}).values()]
        for kind in kinds:
            if kind != name and issubclass(getattr(self.module, kind), model):
                for key, value in self.fields(kind).items():
                    _merge(found, key, value)
        return found

    def _subtype(self, name: str, value: Any) -> str:
        """The model that `value` says it is, of those that the model `name` may be; else `name`."""
        model = getattr(self.module, name)
        tables = [*getattr(model, "_subtype_map", {}).values(), getattr(model, "__mapping__", {})]
        said = [each for each in value.values() if isinstance(each, str)] if isinstance(value, dict) else []
        kinds = [table[each] for table in tables for each in said if each in table]
        return next((kind if isinstance(kind, str) else kind.__name__ for kind in kinds), name)

    def record(self, shape: Any, value: Any, path: str, problems: list[str]) -> Any:
        """The part of a type that `value` uses."""
        if isinstance(shape, tuple):
            shape = self.fields(self._subtype(shape[1], value))
        if isinstance(shape, dict) and "[]" in shape:
            made: Any = {}
            for item in value if isinstance(value, list) else []:
                _merge(made, "[]", self.record(shape["[]"], item, f"{path}[]", problems))
            return made or {"[]": "any"}
        if not isinstance(shape, dict) or not isinstance(value, dict):
            return "any" if isinstance(shape, dict) else shape
        made = {}
        for key, inner in value.items():
            if key not in shape:
                problems.append(f"{path}.{key} is in no model")
            elif inner is not None:
                made[key] = self.record(shape[key], inner, f"{path}.{key}", problems)
        return made


def _merge(into: dict[str, Any], key: str, value: Any) -> None:
    mine = into.get(key)
    if isinstance(mine, dict) and isinstance(value, dict):
        for inner, each in value.items():
            _merge(mine, inner, each)
    elif mine is None or mine in ("any", {}):
        into[key] = value
    elif isinstance(mine, tuple) and isinstance(value, tuple) and mine != value:
        into[key] = "any"


def main() -> int:
    """Exit status 1 when a property is in no model."""
    root = Path(__file__).parents[2] / "infra"
    old = json.loads((root / FILE).read_text()) if (root / FILE).exists() else {}
    rendered = deployments(root).values()
    problems: list[str] = []
    types: dict[str, Any] = {}
    for resource in (each for deployment in rendered for each in deployment.resources):
        kind = kind_of(resource)
        entry = types.setdefault(kind, {"version": old.get(kind, {}).get("version", resource.version)})
        content = {
            key: value for key, value in resource.content.items() if key not in {"name", "parent", "scope", "dependsOn"}
        }
        if kind in BY_HAND:
            entry["properties"] = BY_HAND[kind]
            continue
        package, name = PACKAGES[kind]
        entry["source"] = f"azure-mgmt-{package.partition('.')[0]} {version(f'azure-mgmt-{package.partition(".")[0]}')}"
        _merge(entry, "properties", _Models(package).record(("model", name), content, kind, problems))
    for kind, path in sorted({read for deployment in rendered for read in deployment.reads}):
        if kind in BY_HAND:
            continue
        package, name = PACKAGES[kind]
        value: Any = ""
        for part in reversed(path.split(".")):
            value = {part: value}
        read = _Models(package).record(("model", READ_FROM.get(kind, name)), value, kind, problems)
        types[kind].setdefault("read", {})
        for part, each in read.items():
            _merge(types[kind]["read"], part, each)
    (root / FILE).write_text(json.dumps(types, indent=2, sort_keys=True) + "\n")
    print("\n".join(sorted(set(problems))) or f"{len(types)} types written")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
