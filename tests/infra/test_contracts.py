"""The templates and the app agree, in every documented variant."""

import json
import re
from pathlib import Path

import pytest

from scripts.bicep.syntax import BicepError
from scripts.bicep.variants import VARIANTS, deployments, events_deployment, main_deployment
from shared.dicomweb.resources import RESOURCES
from shared.http.roles import ACTIONS, Roles
from shared.index_schema import blob_names
from shared.subscriptions.web_pub_sub import HUB
from tests.infra import contract

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"


@pytest.fixture(scope="module")
def rendered():
    return deployments(INFRA)


def test_the_app_loads_with_the_settings_of_every_variant(rendered):
    assert list(contract.settings(rendered)) == []


async def test_every_subscription_goes_to_a_function_of_the_app_with_that_trigger(rendered):
    assert list(contract.subscriptions(rendered["events"], contract.app_functions())) == []


def test_files_are_announced_and_not_what_the_service_writes_beside_them(rendered):
    subscription = next(each for each in rendered["events"].resources if each.content.get("name") == "index-instance")
    [unwanted] = subscription.content["properties"]["filter"]["advancedFilters"]
    file = "000/0/1.2/1.3/1.4/01ARZ3NDEKTSV4RRFFQ69G5FAV.dcm"

    assert (unwanted["operatorType"], unwanted["key"]) == ("StringNotEndsWith", "subject")
    for beside in (blob_names.metadata_blob(file), blob_names.frames_blob(file), blob_names.obsolete_mark(file)):
        assert beside.endswith(tuple(unwanted["values"]))
    assert not file.endswith(tuple(unwanted["values"]))


def test_containers_and_queues_are_those_that_the_app_uses(rendered):
    assert list(contract.places(rendered)) == []


@pytest.mark.parametrize(
    ("variant", "action"), [("secrets of exports", "Allow"), ("private secrets of exports", "Deny")]
)
def test_the_vault_of_the_secrets_of_exports_is_named_by_the_settings_and_closed_by_a_network(
    rendered, variant, action
):
    [vault] = rendered[variant].of("Microsoft.KeyVault/vaults")
    settings = contract.app_settings(rendered[variant])

    assert vault.at("properties.networkAcls.defaultAction") == action
    assert settings["SECRET_STORE"].startswith(f"https://{vault.content['name']}.")
    assert settings["EXPORT_SAS_ALLOWED"] == "true"
    endpoints = rendered[variant].of("Microsoft.Network/privateEndpoints")
    assert ("pe-vault" in [each.content["name"] for each in endpoints]) is (action == "Deny")
    assert contract.app_settings(rendered["trial"])["SECRET_STORE"] == ""


def test_azure_runs_the_python_that_is_tested(rendered):
    assert list(contract.runtime(rendered)) == []


def test_everybody_has_the_roles_that_are_needed_and_no_other(rendered):
    assert list(contract.grants(rendered)) == []


def test_the_app_is_made_after_its_roles():
    assert list(contract.order(INFRA)) == []


async def test_a_deployment_looks_for_functions_that_exist():
    assert list(contract.verified_functions(contract.app_functions())) == []


async def test_alerts_watch_timers_that_exist(rendered):
    assert list(contract.watched_timers(rendered, contract.app_functions())) == []


async def test_there_is_one_timer():
    timers = [name for name, each in contract.app_functions().items() if each.trigger == "timerTrigger"]
    assert timers == ["housekeeping"]


def test_the_app_roles_of_the_application_are_in_the_default_roles_document(rendered):
    assert list(contract.app_roles(rendered)) == []


def test_further_app_roles_are_those_of_the_documented_roles_document(rendered, tmp_path):
    page = (ROOT / "docs/operate/roles.md").read_text().partition("\n## Further roles\n")[2]
    example = json.loads(f"{{{re.search(r'```json\n(.+?)\n```', page, re.DOTALL)[1]}}}")
    infra = contract.copied(INFRA, tmp_path)
    file = infra / "main.parameters.json"
    file.write_text(json.dumps({"parameters": {**json.loads(file.read_text())["parameters"], **example}}))
    values = contract.app_settings(main_deployment(infra, VARIANTS["further roles"]))
    roles = Roles(values["AUTHENTICATION_ROLES"])

    app_roles = rendered["further roles"].one("application").content["appRoles"]
    assert len({role["id"] for role in app_roles}) == len(app_roles)
    assert {role["value"]: roles.permissions([role["value"]]).actions for role in app_roles} == {
        "DICOM.Data.Owner": ACTIONS,
        "DICOM.Data.Reader": {"read"},
        "DICOM.Radiologist": {"read", "write", "feedback"},
        "DICOM.Researcher": {"read", "cohort"},
    }


def test_roles_of_an_application_that_is_not_created_are_refused():
    with pytest.raises(BicepError, match="appRoles are those of an application that is created"):
        main_deployment(INFRA, {**contract.CLIENT, "DICOM_APP_ROLES": "DICOM.Researcher"})


def test_what_cannot_work_is_refused_before_anything_is_created():
    assert list(contract.refusals(INFRA)) == []


@pytest.mark.parametrize(
    "name", sorted([*contract.NEVER, "AUTHENTICATION_MODE", "AzureWebJobsStorage", "table_spread"])
)
def test_a_deployer_cannot_add_what_is_never_set(name, tmp_path):
    infra = contract.copied(INFRA, tmp_path)
    file = infra / "main.parameters.json"
    content = json.loads(file.read_text())
    content["parameters"]["extraSettings"]["value"] = {name: "true"}
    file.write_text(json.dumps(content))

    with pytest.raises(BicepError, match=f"extraSettings: .*{name.upper()}"):
        main_deployment(infra, contract.CLIENT)


def test_a_deployer_can_add_other_settings_but_not_replace_those_of_the_templates(tmp_path):
    infra = contract.copied(INFRA, tmp_path)
    file = infra / "main.parameters.json"
    content = json.loads(file.read_text())
    content["parameters"]["extraSettings"]["value"] = {"PUBLIC_BASE_URL": "https://x.example", "INDEX_SHARDS": "1"}
    file.write_text(json.dumps(content))

    values = contract.app_settings(main_deployment(infra, contract.CLIENT))

    assert (values["PUBLIC_BASE_URL"], values["INDEX_SHARDS"]) == ("https://x.example", "16")


def test_a_private_deployment_reaches_both_accounts_by_private_endpoints_only(rendered):
    private, public = rendered["private network"], rendered["trial"]
    accounts = "Microsoft.Storage/storageAccounts"

    assert {each.at("properties.networkAcls.defaultAction") for each in private.of(accounts)} == {"Deny"}
    assert {each.at("properties.networkAcls.defaultAction") for each in public.of(accounts)} == {"Allow"}
    reached = {
        (connection["properties"]["privateLinkServiceId"], *connection["properties"]["groupIds"])
        for endpoint in private.of("Microsoft.Network/privateEndpoints")
        for connection in endpoint.at("properties.privateLinkServiceConnections")
    }
    assert reached == {(each.identifier, kind) for each in private.of(accounts) for kind in ("blob", "queue", "table")}
    assert public.of("Microsoft.Network/privateEndpoints") == []
    assert public.one("app").at("properties.virtualNetworkSubnetId") is None


def test_each_private_endpoint_is_registered_in_the_zone_of_its_service(rendered):
    for group in rendered["private network"].of("Microsoft.Network/privateEndpoints/privateDnsZoneGroups"):
        (config,) = group.at("properties.privateDnsZoneConfigs")

        assert f"privatelink.{config['name']}." in config["properties"]["privateDnsZoneId"]
        assert group.content["parent"]["name"].endswith(f"-{config['name']}")


def test_erased_is_gone_after_three_days_where_that_is_asked_for(rendered):
    def blobs(variant):
        (found,) = (
            each
            for each in rendered[variant].of("Microsoft.Storage/storageAccounts/blobServices")
            if each.where.startswith("dicom-storage")
        )
        return found.content["properties"]

    assert blobs("trial")["isVersioningEnabled"] is True
    assert blobs("trial")["deleteRetentionPolicy"] == {"enabled": True, "days": 30}
    assert blobs("erase")["isVersioningEnabled"] is False
    assert blobs("erase")["deleteRetentionPolicy"] == {"enabled": True, "days": 3}
    assert blobs("erase")["changeFeed"] == {"enabled": False}


@pytest.mark.spec("B-2")
def test_no_rule_of_the_platform_moves_a_file_between_tiers(rendered):
    actions = [
        action
        for variant in VARIANTS
        for policy in rendered[variant].of("Microsoft.Storage/storageAccounts/managementPolicies")
        for rule in policy.at("properties.policy")["rules"]
        for kind in rule["definition"]["actions"].values()
        for action in kind
    ]

    assert set(actions) == {"delete"}


@pytest.mark.spec("B-1")
def test_storage_requests_are_logged_only_where_that_is_asked_for(rendered):
    logged = {
        variant
        for variant in VARIANTS
        for each in rendered[variant].of("Microsoft.Insights/diagnosticSettings")
        if each.where.startswith("dicom-storage")
    }

    assert logged == {"everything"}


def test_the_data_account_is_locked_against_deletion_unless_it_is_a_trial(rendered):
    unlocked = {variant for variant in VARIANTS if not rendered[variant].of("Microsoft.Authorization/locks")}

    assert unlocked == {"trial"}


def test_an_own_key_encrypts_blobs_queues_and_tables(rendered):
    account = next(
        each for each in rendered["own key"].of("Microsoft.Storage/storageAccounts") if "identity" in each.content
    )
    encryption = account.at("properties.encryption")

    assert encryption["keySource"] == "Microsoft.Keyvault"
    assert encryption["keyvaultproperties"]["keyname"] == "dicom-storage"
    assert {each["keyType"] for each in encryption["services"].values()} == {"Account"}
    assert encryption["identity"]["userAssignedIdentity"] in account.at("identity.userAssignedIdentities")


def test_every_replication_is_offered_and_reaches_the_account():
    for sku in ("Standard_LRS", "Standard_ZRS", "Standard_GRS", "Standard_RAGRS", "Standard_GZRS", "Standard_RAGZRS"):
        deployed = main_deployment(INFRA, {**contract.CLIENT, "DICOM_DATA_REPLICATION": sku})
        skus = {
            each.where.partition(".")[0]: each.at("sku.name")
            for each in deployed.of("Microsoft.Storage/storageAccounts")
        }

        assert skus == {"dicom-storage": sku, "host-storage": "Standard_ZRS" if "ZRS" in sku else "Standard_LRS"}


def test_the_workbook_asks_for_events_that_the_app_logs():
    queries = (INFRA / "workbook.json").read_text() + (INFRA / "modules/alerts.bicep").read_text()
    named = set(re.findall(r'line\.event == \\"([\w-]+)', queries)) | set(
        re.findall(r'Message has "([\w-]+)"', queries)
    )
    sources = "".join(path.read_text() for path in (ROOT / "shared").rglob("*.py"))

    assert len(named) >= 3
    assert {name for name in named if f'"{name}"' not in sources} == set()


def queries():
    """The queries of workbook and alerts, and those that the pages for operators give."""
    yield from (each["query"] for each in _members(json.loads((INFRA / "workbook.json").read_text()), "query"))
    yield from re.findall(r"query: '(.+)'", (INFRA / "modules/alerts.bicep").read_text())
    for page in sorted((ROOT / "docs/operate").glob("*.md")):
        for block in re.findall(r"```kusto\n(.+?)```", page.read_text(), re.DOTALL):
            yield from block.split("\n\n")


def _members(value, name):
    if isinstance(value, dict):
        if isinstance(value.get(name), str):
            yield value
        value = [*value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _members(each, name)


def test_queries_ask_for_fields_and_counters_that_the_app_writes():
    sources = [path.read_text() for path in (ROOT / "shared").rglob("*.py")]
    asked = 0
    for query in queries():
        events = re.findall(r'(?:line\.event == |Message has )"([\w-]+)"', query)
        for event in events:
            [*writing] = [text for text in sources if f'"{event}"' in text]
            for name in {*re.findall(r"\bline\.(\w+)", query)} - {"event"}:
                assert any(re.search(rf'\b{name}=|"{name}"', text) for text in writing), (event, name)
        for name in re.findall(r"\brecord\.(\w+)", query):
            assert any(f'"{name}"' in text for text in sources if "AuditEvent" in text), name
        for name in re.findall(r'Name == "(dicom[\w.]+)"', query):
            assert any(f'"{name}"' in text for text in sources), name
        assert "CategoryName" not in query
        asked += len(events)
    assert asked >= 5


def test_the_host_keeps_what_audit_needs_and_limits_no_function():
    assert list(contract.host(ROOT / "host.json")) == []


def test_every_parameter_and_every_variant_is_documented():
    page = (ROOT / "docs/operate/deploy.md").read_text()
    parameters = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    rows = dict(
        re.findall(r"^\| [^|]*?`([A-Z_]+|infra/main.parameters.json)`\)?(?: \*)? \| `(\w+)` \|", page, re.MULTILINE)
    )
    variants = page.partition("\n## Variants\n")[2].partition("\n## ")[0]

    named = {
        re.sub(r"^\$\{(\w+).*\}$", r"\1", entry["value"])
        if isinstance(entry["value"], str)
        else "infra/main.parameters.json": name
        for name, entry in parameters.items()
    }
    assert rows == named
    assert set(re.findall(r"^\| ([a-z ]+) \|", variants, re.MULTILINE)) == set(VARIANTS)


def test_event_reports_go_through_a_service_without_keys_that_only_a_worklist_has(rendered):
    kind = "Microsoft.SignalRService/webPubSub"
    setting = "WORKLIST_NOTIFICATIONS_ENDPOINT"
    [made] = rendered["everything"].of(kind)

    assert made.at("properties.disableLocalAuth") is True
    logged = [
        each
        for each in rendered["everything"].of("Microsoft.Insights/diagnosticSettings")
        if each.content.get("name") == "connections"
    ]
    assert [log["category"] for log in logged[0].at("properties.logs")] == ["ConnectivityLogs"]
    assert contract.app_settings(rendered["everything"])[setting].startswith("https://")
    [hub] = rendered["events"].of(f"{kind}/hubs")
    assert hub.content["name"] == HUB
    [handler] = hub.at("properties.eventHandlers")
    row = RESOURCES["let_in_notification_connection"]
    assert set(row.methods) == {"POST", "OPTIONS"}
    assert handler["systemEvents"] == ["connect"]
    assert handler["urlTemplate"].startswith("https://")
    assert handler["urlTemplate"].endswith(f"/{row.template}")
    assert events_deployment(INFRA, worklist="none").of(f"{kind}/hubs") == []
    assert rendered["trial"].of(kind) == []
    assert contract.app_settings(rendered["trial"])[setting] == ""
