"""What `dicom smoke` finds wrong with a deployment that only Azure's own answers show (CLI-3)."""

import pytest

from dicom_cli.smoke.deployment import Deployed, Trail, azure_cli
from dicom_cli.smoke.service import Failed

MIB = 1024**2
SETTINGS = {
    "MAX_REQUEST_BYTES": str(100 * MIB),
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(101 * MIB),
    "INSTANCE_MEMORY_MB": "4096",
    "HTTP_CONCURRENCY": "6",
    "DicomStorage__blobServiceUri": "https://stdicom.blob.core.windows.net/",
}
SCALE = {"instanceMemoryMB": 4096, "triggers": {"http": {"perInstanceConcurrency": 6}}}
FUNCTIONS = [
    f"app/{name}" for name in ("append_changes", "health_check", "housekeeping", "index_instance", "zz_fallback", "x")
]


class FakeAz:
    """Answers by the words of a command; `changed` are other answers than those of a deployment that is well."""

    def __init__(self, **changed):
        self.settings = {**SETTINGS, **changed.pop("settings", {})}
        self.answers = {
            "function": FUNCTIONS,
            "keys": {"blobs_extension": "k", "durabletask": "k"},
            "cors": [],
            "scale": SCALE,
            "blob": [],
            "append": "Succeeded",
            **changed,
        }
        self.asked = []

    def __call__(self, *arguments):
        self.asked.append(arguments)
        match arguments:
            case ("functionapp", "config", *_):
                return [{"name": name, "value": value} for name, value in self.settings.items() if value is not None]
            case ("functionapp", what, *_):
                return self.answers[what]
            case ("eventgrid", kind, "list", *_):
                return [f"{kind}-of-app"]
            case ("eventgrid", "topic", "event-subscription", *_):
                state = self.answers["append"]
                return [{"name": "append-changes", "provisioningState": state}] if state else []
            case ("eventgrid", "system-topic", "event-subscription", *_):
                return [{"name": "index-instance", "provisioningState": "Succeeded"}]
            case ("storage", "blob", *_):
                return self.answers["blob"]
            case _:
                raise AssertionError(arguments)


@pytest.mark.spec("CLI-3")
def test_a_deployment_that_is_well_is_told_in_numbers():
    az = FakeAz()
    assert Deployed(az, "rg", "func").check() == "6 functions, 2 subscriptions, no dead letters"
    assert ("--account-name", "stdicom") in [each[i : i + 2] for each in az.asked for i in range(len(each))]


@pytest.mark.spec("CLI-3")
@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"function": FUNCTIONS[1:]}, "no function append_changes"),
        ({"function": None}, "no function append_changes, health_check"),
        ({"keys": {}}, "no key blobs_extension"),
        ({"cors": ["https://portal.azure.com"]}, "CORS origins"),
        ({"settings": {"WEBSITE_AUTH_ENABLED": "true"}}, "WEBSITE_AUTH_ENABLED"),
        ({"settings": {"AUTHENTICATION_MODE": "off"}}, "AUTHENTICATION_MODE"),
        ({"settings": {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(100 * MIB)}}, "not above"),
        ({"settings": {"HTTP_CONCURRENCY": "4"}}, "another scale than 6 requests in 4096 MB"),
        ({"settings": {"INSTANCE_MEMORY_MB": None}}, "another scale"),
        ({"settings": {"DicomStorage__blobServiceUri": None}}, "no setting DicomStorage__blobServiceUri"),
        ({"scale": {"instanceMemoryMB": 2048, "triggers": {"http": {"perInstanceConcurrency": 6}}}}, "another scale"),
        ({"scale": {"instanceMemoryMB": 2048}}, "concurrency is not set"),
        ({"append": "Failed"}, "append-changes is Failed"),
        ({"append": ""}, "append-changes is missing"),
        ({"blob": ["x.json"]}, "dead letters"),
    ],
)
def test_what_is_wrong_is_named(changed, wrong):
    with pytest.raises(Failed, match=wrong) as failed:
        Deployed(FakeAz(**changed), "rg", "func").check()
    assert failed.value.means


class Workspace:
    """Log Analytics: what each look finds of the audit trail, and the number of rows with a query string."""

    def __init__(self, *looks, queries=0):
        self.looks, self.queries, self.asked = list(looks), queries, []

    def __call__(self, *arguments):
        self.asked.append(arguments)
        if "AppRequests" in arguments[-1]:
            return [{"Count": str(self.queries)}]
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return [{"action": each} for each in found]


@pytest.mark.spec("CLI-3")
def test_both_audit_records_of_a_retrieval_are_waited_for():
    waited, both = [], ("Executing", "Executed", "Detail")
    trail = Trail(Workspace((), ("Executing",), both), "w", waited.append)
    assert trail.check("1.2.3").startswith("both records after 40 s")
    assert waited == [20.0, 20.0]


@pytest.mark.spec("CLI-3")
@pytest.mark.parametrize(
    ("workspace", "wrong"),
    [
        (Workspace(("Executing",)), r"\['Executing'\]"),
        (Workspace(()), "has nothing"),
        (Workspace(("Executing", "Executed"), queries=3), "query strings"),
    ],
)
def test_a_trail_with_holes_and_telemetry_with_searches_are_told(workspace, wrong):
    with pytest.raises(Failed, match=wrong):
        Trail(workspace, "w", lambda _seconds: None).check("1.2.3")


def test_without_the_azure_cli_its_absence_is_told(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Failed, match="not installed"):
        azure_cli("account", "show")
