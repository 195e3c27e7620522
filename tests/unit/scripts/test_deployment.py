"""What `azd up` runs: the questions before, and the subscriptions after."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.deployment import Unusable, check, events, verify
from scripts.deployment.azure import RealAzure, Refused

OUTPUTS = {
    "AZURE_RESOURCE_GROUP": "rg-trial",
    "AZURE_FUNCTION_APP_NAME": "func-dicom",
    "DICOM_BLOB_TOPIC_NAME": "evgst",
    "DICOM_EVENTS_TOPIC_NAME": "evgt",
    "DICOM_STORAGE_NAME": "stdicom",
    "DICOM_IMPORT_SUBSCRIBED": "true",
    "DICOM_WORKLIST_NAME": "none",
    "DICOM_SERVICE_URL": "https://dicom.example",
}
READY = {
    "AZURE_SUBSCRIPTION_ID": "sub",
    "AZURE_LOCATION": "westeurope",
    "DICOM_CREATE_ENTRA_APPLICATION": "true",
}
FUNCTIONS = [*sorted(verify.FUNCTIONS), verify.IMPORT_FUNCTION]
SUCCEEDED = {"provisioningState": "Succeeded"}
UNWELL = json.dumps({"details": [{"name": "index", "status": "Unhealthy"}, {"name": "files", "status": "Healthy"}]})


class FakeAzure:
    """Answers commands by their first words, in order; the last answer stays."""

    def __init__(
        self, environment: Mapping[str, str], answers: Mapping[str, list[Any]], health: list[int] | None = None
    ):
        self.environment = environment
        self.answers = {
            "account show": [{"id": "sub"}],
            "functionapp list-flexconsumption-locations": [[{"name": "westeurope"}, {"name": "North Europe"}]],
            "functionapp keys": [True],
            "deployment group": [{}],
            "functionapp function list": [[f"func-dicom/{name}" for name in FUNCTIONS]],
            "functionapp config appsettings": [[*verify.SETTINGS, "INDEX_SHARDS"]],
            "functionapp cors": [None],
            "eventgrid system-topic event-subscription list": [
                [SUCCEEDED | {"name": n} for n in ("index-instance", "import")]
            ],
            "eventgrid topic": [[SUCCEEDED | {"name": "append-changes"}]],
            **answers,
        }
        self.health = health or [200]
        self.commands: list[tuple[str, ...]] = []
        self.waited = 0.0

    def az(self, *arguments: str) -> Any:
        self.commands.append(arguments)
        answers = next(value for words, value in self.answers.items() if " ".join(arguments).startswith(words))
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def get(self, url: str) -> tuple[int, bytes]:
        assert url == "https://dicom.example/health/check"
        status = self.health.pop(0) if len(self.health) > 1 else self.health[0]
        return status, UNWELL.encode() if status == 503 else b""

    def wait(self, seconds: float) -> None:
        self.waited += seconds

    def ran(self, words: str) -> list[tuple[str, ...]]:
        return [each for each in self.commands if " ".join(each).startswith(words)]


def test_an_environment_that_is_ready_has_no_problems():
    assert list(check.problems(FakeAzure(READY, {}))) == []


@pytest.mark.parametrize(
    ("changed", "answers", "said"),
    [
        ({"DICOM_CREATE_ENTRA_APPLICATION": "false"}, {}, "Nobody could sign in"),
        ({"DICOM_AUTH_CLIENT_ID": "x"}, {}, "exclude each other"),
        ({}, {"account show": [Refused("no")]}, "az login"),
        ({"AZURE_LOCATION": "moon"}, {}, "one of northeurope, westeurope"),
        ({}, {"functionapp list-flexconsumption-locations": [Refused("no network")]}, "no network"),
    ],
)
def test_each_problem_says_what_to_type(changed, answers, said, capsys):
    azure = FakeAzure({**READY, **changed}, answers)

    assert check.main(azure) == 1
    assert said in capsys.readouterr().err
    assert azure.ran("provider register") == []


def test_another_provider_is_a_way_to_sign_in():
    environment = {
        **READY,
        "DICOM_CREATE_ENTRA_APPLICATION": "",
        "DICOM_AUTH_AUTHORITY": "a",
        "DICOM_AUTH_AUDIENCES": "b",
    }

    assert list(check.problems(FakeAzure(environment, {}))) == []


def test_a_private_network_registers_its_provider_and_nothing_else_does():
    private, public = (
        FakeAzure({**READY, "DICOM_PRIVATE_NETWORK": value}, {"provider": [None]}) for value in ("true", "")
    )

    assert (check.main(private), check.main(public)) == (0, 0)
    assert len(private.ran("provider register --namespace Microsoft.App")) == 1
    assert public.ran("provider") == []


def test_the_subscriptions_follow_health_and_key():
    azure = FakeAzure(OUTPUTS, {"functionapp keys": [Refused("busy"), False, True]}, health=[0, 503, 200])

    events.subscribe(azure)

    (command,) = azure.ran("deployment group create")
    assert command[command.index("--parameters") + 1 :] == (
        "functionAppName=func-dicom",
        "blobTopicName=evgst",
        "dicomTopicName=evgt",
        "dicomStorageName=stdicom",
        "bulkImport=true",
        "worklistName=none",
    )
    assert command[command.index("--resource-group") + 1] == "rg-trial"
    assert azure.waited == 2 * 15 + 2 * 30


def test_event_grid_that_does_not_reach_the_app_yet_is_asked_again():
    azure = FakeAzure(OUTPUTS, {"deployment group": [Refused("handshake"), Refused("handshake"), {}]})

    assert events.main(azure) == 0
    assert len(azure.ran("deployment group create")) == 3


@pytest.mark.parametrize(
    ("answers", "health", "said"),
    [
        ({}, [503], "index Unhealthy"),
        ({}, [0], "no answer"),
        ({"functionapp keys": [False]}, [200], "functions were not indexed"),
        ({"deployment group": [Refused("handshake")]}, [200], "handshake"),
    ],
)
def test_what_does_not_come_is_given_up_with_its_reason(answers, health, said, capsys):
    assert events.main(FakeAzure(OUTPUTS, answers, health)) == 1
    assert said in capsys.readouterr().err


def test_the_second_phase_needs_the_outputs_of_the_first():
    with pytest.raises(Unusable, match="DICOM_STORAGE_NAME is not set"):
        events.subscribe(FakeAzure({**OUTPUTS, "DICOM_STORAGE_NAME": ""}, {}))


@pytest.mark.parametrize(("there", "deleted"), [(["import", "index-instance"], 1), (["index-instance"], 0)])
def test_import_that_was_switched_off_is_unsubscribed(there, deleted):
    listing = "eventgrid system-topic event-subscription list"
    listed = [SUCCEEDED | {"name": name} for name in there]
    azure = FakeAzure(
        {**OUTPUTS, "DICOM_IMPORT_SUBSCRIBED": "False"},
        {listing: [listed], "eventgrid system-topic event-subscription delete": [None]},
    )

    events.subscribe(azure)

    assert len(azure.ran("eventgrid system-topic event-subscription delete")) == deleted
    assert "bulkImport=false" in azure.ran("deployment group create")[0]


def test_every_output_that_the_second_phase_reads_is_one_of_the_first():
    from scripts.bicep.syntax import parse

    outputs = parse(events.TEMPLATE.with_name("main.bicep")).outputs
    parameters = {declared.name for declared in parse(events.TEMPLATE).of("param")}

    assert set(OUTPUTS) <= set(outputs)
    assert set(events.PARAMETERS) == parameters
    assert set(events.PARAMETERS.values()) <= set(OUTPUTS)


def az_that_prints_its_arguments(folder: Path, monkeypatch: pytest.MonkeyPatch, status: int = 0) -> None:
    program = folder / "az"
    program.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\nsys.exit({status})\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_every_command_is_for_the_subscription_of_the_environment(tmp_path, monkeypatch):
    az_that_prints_its_arguments(tmp_path, monkeypatch)

    assert RealAzure({"AZURE_SUBSCRIPTION_ID": "sub"}).az("account", "show")[-2:] == ["--subscription", "sub"]
    assert "--subscription" not in RealAzure({}).az("account", "show")


def test_a_command_that_fails_and_a_missing_program_are_told_apart(tmp_path, monkeypatch):
    az_that_prints_its_arguments(tmp_path, monkeypatch, status=1)
    with pytest.raises(Refused):
        RealAzure({}).az("account", "show")

    (tmp_path / "az").unlink()
    with pytest.raises(Unusable, match="is not installed"):
        RealAzure({}).az("account", "show")


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"functionapp function list": [["func-dicom/index_instance"]]}, "no function housekeeping"),
        ({"functionapp function list": [[f"a/{name}" for name in verify.FUNCTIONS]]}, "no function import_instance"),
        ({"functionapp config appsettings": [[]]}, "AUTHENTICATION_AUDIENCES is missing"),
        ({"functionapp config appsettings": [[*verify.SETTINGS, "WEBSITE_AUTH_ENABLED"]]}, "must not be"),
        ({"functionapp cors": [["https://portal.azure.com"]]}, "CORS of the platform is on"),
        (
            {"eventgrid topic": [[{"name": "append-changes", "provisioningState": "Failed"}]]},
            "append-changes is Failed",
        ),
        ({"eventgrid system-topic": [[SUCCEEDED | {"name": "index-instance"}]]}, "import is missing"),
    ],
)
def test_what_is_not_as_the_templates_say_fails_the_deployment(answers, said, capsys):
    defaults = FakeAzure(OUTPUTS, {}).answers
    first = {words: answers.get(words, defaults.get(words)) for words in (*answers, *defaults)}
    azure = FakeAzure(OUTPUTS, {})
    azure.answers = first

    assert events.main(azure) == 1
    assert said in capsys.readouterr().err
