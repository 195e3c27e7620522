"""The checks of the templates: they find nothing in ours, and find each fault that is put into them."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from scripts.bicep.__main__ import problems
from tests.infra import contract

INFRA = Path(__file__).parents[2] / "infra"
MAIN, EVENTS = "main.bicep", "events.bicep"
APP, DATA = "modules/function-app.bicep", "modules/dicom-storage.bicep"
ROLES, KEY = "modules/role-assignments.bicep", "modules/encryption-key.bicep"
HOST = "../host.json"
TOPICS, ENTRA = "modules/event-topics.bicep", "modules/entra-application.bicep"


class Fault(NamedTuple):
    """A change of one file, and a piece of what must be said about it."""

    file: str
    old: str
    new: str
    said: str


FAULTS = {
    # syntax and names
    "missing brace": Fault(
        MAIN, "  tags: tags\n}\n\nmodule identity", "  tags: tags\n\nmodule identity", "syntax error"
    ),
    "misspelt keyword": Fault(MAIN, "param environmentName", "parm environmentName", "syntax error"),
    "undeclared name": Fault(MAIN, "'sthost${token}'", "'sthost${tokn}'", "tokn is not declared"),
    "unused parameter": Fault(
        APP, "param name string", "param name string\nparam spare string = ''", "nothing uses spare"
    ),
    "unused variable": Fault(MAIN, "var bodyCost = 4", "var bodyCost = 4\nvar spare = 1", "nothing uses spare"),
    "unknown function": Fault(MAIN, "toLower(uniqueString(", "lower(uniqueString(", "lower is not declared"),
    "declared twice": Fault(MAIN, "var bodyCost = 4", "var bodyCost = 4\nvar bodyCost = 5", "declared twice"),
    "unknown parameter of a module": Fault(
        MAIN, "skuName: dataReplication", "sku: dataReplication", "has no parameter sku"
    ),
    "missing parameter of a module": Fault(MAIN, "    email: alertEmail\n", "", "is not given email"),
    "unknown output": Fault(
        MAIN, "identity.outputs.principalId", "identity.outputs.objectId", "has no output objectId"
    ),
    "missing module": Fault(MAIN, "./modules/network.bicep", "./modules/net.bicep", "there is no ./modules/net.bicep"),
    "unknown parameter in the file": Fault(
        "main.parameters.json", '"bulkImport":', '"import":', "there is no parameter import"
    ),
    "known only during the deployment": Fault(
        MAIN,
        "= if (!empty(alertEmail))",
        "= if (!empty(functionApp.outputs.url))",
        "is not known when the deployment begins",
    ),
    # types of Azure
    "other version": Fault(
        APP, "Microsoft.Web/serverfarms@2024-11-01", "Microsoft.Web/serverfarms@2099-01-01", "2099-01-01"
    ),
    "unknown type": Fault(
        APP, "'Microsoft.Web/serverfarms@", "'Microsoft.Web/serverfarm@", "is not in resource-types.json"
    ),
    "misspelt property": Fault(
        DATA, "allowBlobPublicAccess", "allowBlobPublicAcess", "allowBlobPublicAcess is not a known"
    ),
    "property at the wrong place": Fault(
        APP, "    httpsOnly: true\n    virt", "    minTlsVersion: '1.2'\n    virt", "minTls"
    ),
    "text instead of a number": Fault(
        APP, "perInstanceConcurrency: httpConcurrency", "perInstanceConcurrency: '${httpConcurrency}'", "not a integer"
    ),
    "number instead of a switch": Fault(
        DATA, "isVersioningEnabled: protect", "isVersioningEnabled: 1", "not a boolean"
    ),
    "value outside the list": Fault(DATA, "accessTier: 'Hot'", "accessTier: 'Warm'", "none of"),
    "unknown property read": Fault(
        "modules/identity.bicep", "identity.properties.clientId", "identity.properties.appId", "has no properties.appId"
    ),
    # posture
    "shared key": Fault(DATA, "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "allowSharedKeyAccess"),
    "shared key of the host": Fault(
        "modules/host-storage.bicep",
        "allowSharedKeyAccess: false",
        "allowSharedKeyAccess: true",
        "allowSharedKeyAccess",
    ),
    "public blobs": Fault(DATA, "allowBlobPublicAccess: false", "allowBlobPublicAccess: true", "allowBlobPublicAccess"),
    "public container": Fault(DATA, "publicAccess: 'None'", "publicAccess: 'Blob'", "publicAccess"),
    "old TLS": Fault(DATA, "minimumTlsVersion: 'TLS1_2'", "minimumTlsVersion: 'TLS1_0'", "minimumTlsVersion"),
    "keys of the topic": Fault(TOPICS, "disableLocalAuth: true", "disableLocalAuth: false", "disableLocalAuth"),
    "keys of the telemetry": Fault(
        "modules/monitoring.bicep", "    DisableLocalAuth: true\n", "", "DisableLocalAuth is None"
    ),
    "password for deployments": Fault(
        APP,
        "name: 'scm'\n  properties: { allow: false }",
        "name: 'scm'\n  properties: { allow: true }",
        "properties.allow",
    ),
    "plain HTTP": Fault(APP, "httpsOnly: true", "httpsOnly: false", "httpsOnly"),
    "CORS of the platform": Fault(APP, "allowedOrigins: []", "allowedOrigins: ['*']", "allowedOrigins"),
    "authentication of the platform": Fault(
        APP, "name: 'appsettings'", "name: 'authsettingsV2'", "tokens are checked in code"
    ),
    "open vault": Fault(KEY, "defaultAction: 'Deny'", "defaultAction: 'Allow'", "networkAcls.defaultAction"),
    "vault without purge protection": Fault(KEY, "    enablePurgeProtection: true\n", "", "enablePurgeProtection"),
    "tokens for everybody": Fault(
        ENTRA, "appRoleAssignmentRequired: true", "appRoleAssignmentRequired: false", "appRoleAss"
    ),
    "version 1 tokens": Fault(
        ENTRA, "requestedAccessTokenVersion: 2", "requestedAccessTokenVersion: 1", "TokenVersion"
    ),
    "missing dead letters": Fault(
        EVENTS,
        "    deadLetterWithResourceIdentity: deadLetters\n    destination: {\n      endpointType: 'AzureFunction'",
        "    destination: {\n      endpointType: 'AzureFunction'",
        "deadLetterWithResourceIdentity",
    ),
    "archive tier by prefix": Fault(
        DATA,
        "baseBlob: { delete: { daysAfterModificationGreaterThan: 30 } }",
        "baseBlob: { tierToArchive: { daysAfterModificationGreaterThan: 30 } }",
        "moves the documents",
    ),
    "key in a module": Fault(
        DATA,
        "output id string = account.id",
        "output id string = account.listKeys().keys[0].value",
        "outside the dialect",
    ),
    "secret as output": Fault(MAIN, "output DICOM_SERVICE_URL", "output DICOM_SERVICE_TOKEN", "looks like a secret"),
    # the app and its templates
    "no audience": Fault(MAIN, "'${clientId},api://${clientId}'", "''", "the app does not load"),
    "sign-in off": Fault(
        MAIN, "  INDEX_SHARDS: '16'", "  AUTHENTICATION_MODE: 'off'\n  INDEX_SHARDS: '16'", "AUTHENTICATION_MODE"
    ),
    "platform's variable": Fault(
        MAIN,
        "  INDEX_SHARDS: '16'",
        "  WEBSITE_AUTH_ENABLED: 'true'\n  INDEX_SHARDS: '16'",
        "WEBSITE_AUTH_ENABLED is never",
    ),
    "tables for an emulator": Fault(
        MAIN, "  INDEX_SHARDS: '16'", "  TABLE_SPREAD: '64'\n  INDEX_SHARDS: '16'", "TABLE_SPREAD"
    ),
    "one shard": Fault(MAIN, "INDEX_SHARDS: '16'", "INDEX_SHARDS: '1'", "INDEX_SHARDS is not 16"),
    "unknown setting": Fault(MAIN, "TELEMETRY_LEVEL:", "TELEMETRY_LEVELS:", "nothing reads TELEMETRY_LEVELS"),
    "missing setting": Fault(
        MAIN, "  DICOM_EVENTS_SOURCE: eventTopics.outputs.dicomTopicId\n", "", "DICOM_EVENTS_SOURCE is missing"
    ),
    "limit of the host below ours": Fault(
        MAIN, "string((maxRequestMiB + 1) *", "string((maxRequestMiB - 1) *", "must be at least 1 MiB"
    ),
    "bodies beyond the memory": Fault(MAIN, "var bodyCost = 4", "var bodyCost = 1", "accepted: "),
    "other Python": Fault(APP, "version: '3.13'", "version: '3.12'", "Azure runs Python 3.12"),
    "other function": Fault(EVENTS, "functions/append_changes", "functions/append_change", "append-changes"),
    "other blob function": Fault(
        EVENTS, "Host.Functions.index_instance", "Host.Functions.index_blob", "index-instance"
    ),
    "container without end": Fault(EVENTS, "containers/dicom/'", "containers/dicom'", "index-instance"),
    "other event type": Fault(
        EVENTS, "ServerlessDicom.ChangesPending", "Microsoft.HealthcareApis.DicomImageCreated", "append-"
    ),
    "other schema": Fault(EVENTS, "'CloudEventSchemaV1_0'", "'EventGridSchema'", "append-changes"),
    "other queue": Fault(EVENTS, "queueName: 'import-queue'", "queueName: 'imports'", "the subscription import"),
    "missing container": Fault(DATA, "'error-container', ", "", "the containers are"),
    "missing queue": Fault(DATA, "'import-queue-poison', ", "", "the queues are"),
    "missing role": Fault(
        ROLES,
        "roles.storageQueueDataContributor, roles.storageTableDataContributor]\nvar",
        "roles.storageTableDataContributor]\nvar",
        "missing ('id-dicom', 'Storage Queue Data Contributor'",
    ),
    "too much": Fault(
        ROLES,
        "var dicomStorageRoles = [roles.storageBlobDataContributor",
        "var dicomStorageRoles = [roles.storageBlobDataOwner",
        "nobody needs ('id-dicom', 'Storage Blob Data Owner', 'storageAccounts/stdicom')",
    ),
    "app before its roles": Fault(MAIN, "  dependsOn: [roleAssignments]\n", "", "made before its roles"),
    "role for the wrong topic": Fault(
        ROLES, "    principalId: topic\n", "    principalId: blobTopicPrincipalId\n", "missing ('evgt-dicom'"
    ),
    "alert on a timer that does not exist": Fault(
        "modules/alerts.bicep", '"housekeeping"', '"sweep"', "waits for sweep"
    ),
    "role that the service does not know": Fault(
        ENTRA, "value: 'DICOM.Data.Reader'", "value: 'DICOM.Data.Viewer'", "the app roles give"
    ),
    "role of another name's GUID": Fault(
        ROLES, "ba92f5b4-2d11-453d-a403-e96b0029c9fe", "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "nobody needs"
    ),
    "role for the whole account": Fault(ROLES, "scope: deadLetters", "scope: dicomStorage", "nobody needs"),
    "no events": Fault(
        MAIN, "DICOM_EVENTS_TOPIC: eventTopics.outputs.dicomTopicEndpoint", "DICOM_EVENTS_TOPIC: ''", "events are off"
    ),
    "setting that is no text": Fault(
        MAIN,
        "HTTP_CONCURRENCY: string(httpConcurrency)",
        "HTTP_CONCURRENCY: httpConcurrency",
        "HTTP_CONCURRENCY is a int",
    ),
    "another memory told than given": Fault(
        MAIN, "INSTANCE_MEMORY_MB: string(instanceMemoryMB)", "INSTANCE_MEMORY_MB: '4000'", "told of another memory"
    ),
    "pixels beyond the memory": Fault(
        MAIN, "string(pixelMemoryMB * 1048576)", "string(pixelMemoryMB * 8388608)", "requests do not fit"
    ),
    "identity of somebody else": Fault(
        MAIN, "AZURE_CLIENT_ID: identity.outputs.clientId", "AZURE_CLIENT_ID: clientId", "the identity is not the app's"
    ),
    # the host
    "audit records sampled": Fault(HOST, "Request;Exception;Trace", "Request;Exception", "['Trace'] are sampled"),
    "time limit of functions": Fault(HOST, '"functionTimeout": "-1"', '"functionTimeout": "00:30:00"', "a time limit"),
    "queries in telemetry": Fault(
        HOST, '"enableDependencyTracking": false', '"enableDependencyTracking": true', "dependencies are tracked"
    ),
    "another extension bundle": Fault(HOST, "[4.*, 5.0.0)", "[3.*, 4.0.0)", "another extension bundle"),
    "prefix of paths": Fault(HOST, '"routePrefix": ""', '"routePrefix": "api"', "paths have a prefix"),
    "lines of functions lost": Fault(HOST, '"Function": "Information"', '"Function": "Error"', "are not kept"),
    "longer in the bin than asked": Fault(DATA, "var erasedDays = 3", "var erasedDays = 30", "erase keeps for 30 days"),
}


@pytest.fixture(scope="module")
async def functions():
    return contract.app_functions()


def test_the_templates_have_no_problems():
    assert problems(INFRA) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name, functions, tmp_path):
    fault = FAULTS[name]
    infra = contract.copied(INFRA, tmp_path)
    source = (infra / fault.file).read_text()
    assert source.count(fault.old) >= 1
    (infra / fault.file).write_text(source.replace(fault.old, fault.new))

    said = problems(infra) or contract.every_problem(infra, functions)

    assert any(fault.said in each for each in said), said


def test_the_page_lists_every_fault_that_is_rejected():
    page = (INFRA.parent / "docs/develop/checking-infrastructure.md").read_text()
    listed = [name for row in re.findall(r"^\| .+ \| (.+) \|$", page, re.MULTILINE)[1:] for name in row.split("; ")]

    assert sorted(listed) == sorted(FAULTS)
