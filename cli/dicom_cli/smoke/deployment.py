"""Checks of what a client cannot see: the app and its subscriptions, the import container, the audit trail.

They need rights of their own in Azure, and run where somebody names what they look at.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from dicom_cli.smoke.sample import sample
from dicom_cli.smoke.service import Failed, Service

_MIB: Final = 1024**2
_IMPORT_SECONDS: Final = 90.0
_TRAIL_SECONDS: Final = 600.0
"""Log Analytics takes some minutes."""
_FUNCTIONS: Final = ("append_changes", "health_check", "housekeeping", "index_instance", "zz_fallback")
"""Some of each kind of trigger: when they are there, the app was indexed."""
_NEVER: Final = ("AUTHENTICATION_MODE", "TABLE_SPREAD", "WEBSITE_AUTH_ENABLED")
_NO_TEXT: Final = b"no DICOM: written by dicom smoke"


class Az(Protocol):
    """The Azure CLI."""

    def __call__(self, *arguments: str) -> Any:
        """The answer of a command, read. Raises Failed."""
        ...


def azure_cli(*arguments: str) -> Any:
    """The Azure CLI of this machine, with the subscription that it has. Raises Failed."""
    program = shutil.which("az")
    if program is None:
        raise Failed("the Azure CLI (az) is not installed", "https://aka.ms/azure-cli, then az login")
    command = [program, *arguments, "--output", "json", "--only-show-errors"]
    run = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - arguments, no shell
    if run.returncode:
        raise Failed(
            f"az {' '.join(arguments[:3])}: {run.stderr.strip()[:300]}", "sign in (az login), or the role Reader"
        )
    return json.loads(run.stdout) if run.stdout.strip() else None


@dataclass(frozen=True, slots=True)
class Deployed:
    """A function app."""

    az: Az
    group: str
    app: str

    def check(self) -> str:
        """That the app is as its templates say. Raises Failed."""
        app = ("--resource-group", self.group, "--name", self.app)
        listed = self.az("functionapp", "function", "list", *app, "--query", "[].name") or ()
        functions = {str(name).rpartition("/")[2] for name in listed}
        if missing := sorted(set(_FUNCTIONS) - functions):
            raise Failed(f"{self.app} has no function {', '.join(missing)}", "the package did not load: its log stream")
        keys = self.az("functionapp", "keys", "list", *app, "--query", "systemKeys") or {}
        if "blobs_extension" not in keys:
            raise Failed(f"{self.app} has no key blobs_extension", "the blob trigger never started: restart the app")
        found = self.az("functionapp", "config", "appsettings", "list", *app, "--query", "[].{name:name,value:value}")
        settings = {each["name"]: each["value"] for each in found or ()}
        if forbidden := [name for name in _NEVER if name in settings]:
            raise Failed(f"{self.app} has the setting {forbidden[0]}", "remove it: a deployment never sets it")
        if self.az("functionapp", "cors", "show", *app, "--query", "allowedOrigins"):
            raise Failed(f"{self.app} has CORS origins of the platform", "remove them: they keep headers from viewers")
        self._check_memory(app, settings)
        subscriptions = self._subscriptions()
        self._check_dead_letters(settings)
        return f"{len(functions)} functions, {subscriptions} subscriptions, no dead letters"

    def _check_memory(self, app: Iterable[str], settings: Mapping[str, str]) -> None:
        """Instances have the memory, and are given the requests, that the app knows of: its start says what does not
        fit (docs/operate/limits.md).
        """
        ours, hosts = (
            int(settings.get(name) or 0) for name in ("MAX_REQUEST_BYTES", "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT")
        )
        if hosts < ours + _MIB:
            raise Failed(
                "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT is not above MAX_REQUEST_BYTES", "413 would be a 500: azd provision"
            )
        scale = self.az("functionapp", "scale", "config", "show", *app) or {}
        memory = int(scale.get("instanceMemoryMB") or scale.get("instanceMemoryMb") or 0)
        concurrency = int((((scale.get("triggers") or {}).get("http") or {}).get("perInstanceConcurrency")) or 0)
        if memory and not concurrency:
            raise Failed("HTTP concurrency is not set", "one request at a time for each instance: azd provision")
        told = (int(settings.get(name) or 0) for name in ("INSTANCE_MEMORY_MB", "HTTP_CONCURRENCY"))
        if memory and (memory, concurrency) != (*told,):
            raise Failed(
                f"The app is told of another scale than {concurrency} requests in {memory} MB",
                "what it checks its limits by is not so, and uploads can take an instance down: azd provision",
            )

    def _subscriptions(self) -> int:
        """How many there are, all of them ready."""
        states: dict[str, str] = {}
        place = ("--resource-group", self.group)
        for kind, option in (("system-topic", "--system-topic-name"), ("topic", "--topic-name")):
            for topic in self.az("eventgrid", kind, "list", *place, "--query", "[].name") or ():
                found = self.az("eventgrid", kind, "event-subscription", "list", *place, option, topic) or ()
                states |= {each["name"]: each["provisioningState"] for each in found}
        for name in ("append-changes", "index-instance"):
            states.setdefault(name, "missing")
        for name, state in sorted(states.items()):
            if state != "Succeeded":
                raise Failed(f"the event subscription {name} is {state}", "azd hooks run postdeploy")
        return len(states)

    def _check_dead_letters(self, settings: Mapping[str, str]) -> None:
        account = (urlsplit(settings.get("DicomStorage__blobServiceUri", "")).hostname or "").partition(".")[0]
        if not account:
            raise Failed(f"{self.app} has no setting DicomStorage__blobServiceUri", "azd provision")
        there = self.az(
            "storage", "blob", "list", "--auth-mode", "login", "--account-name", account,
            "--container-name", "event-dead-letters", "--num-results", "1", "--query", "[].name",
        )  # fmt: skip  # read at once: one item a line says no more
        if there:
            raise Failed(
                "there are dead letters in event-dead-letters", "read one: it says which delivery failed, and why"
            )


def check_import(service: Service, client: Any, *, pause: Callable[[float], None] = time.sleep) -> str:
    """That a file in the import container is stored, and one that is no DICOM is refused. Raises Failed.

    `client`: a BlobServiceClient of the account.
    """
    one = sample()
    name = f"{service.partition}/smoke-{one.study}" if service.partition else f"smoke-{one.study}"
    files, errors = (client.get_container_client(each) for each in ("import-container", "error-container"))
    try:
        files.upload_blob(f"{name}.dcm", one.file)
        files.upload_blob(f"{name}.txt", _NO_TEXT)
        seconds = _until(lambda: _is_stored(service, one.study), pause, "a file in import-container is not stored")
        _until(
            lambda: errors.get_blob_client(f"{name}.txt").exists(), pause, "what is no DICOM is not in error-container"
        )
    finally:
        for container, blob in ((files, f"{name}.dcm"), (files, f"{name}.txt"), (errors, f"{name}.txt")):
            if container.get_blob_client(blob).exists():
                container.delete_blob(blob)
        service.ask("DELETE", service.path(f"studies/{one.study}"))
    return f"stored after {seconds:.0f} s, and the other one refused"


def _until(done: Callable[[], bool], pause: Callable[[float], None], wrong: str) -> float:
    waited = 0.0
    while not done():
        if waited >= _IMPORT_SECONDS:
            raise Failed(
                wrong, "the subscription of import-queue, BULK_IMPORT_ENABLED, or the role of the topic on the queue"
            )
        pause(2.0)
        waited += 2.0
    return waited


def _is_stored(service: Service, study: str) -> bool:
    found = service.ask(
        "GET", service.path(f"studies?StudyInstanceUID={study}"), headers={"Accept": "application/dicom+json"}
    )
    found.expect(200, 204, means="searches fail")
    return found.status == 200


@dataclass(frozen=True, slots=True)
class Trail:
    """The audit trail in Log Analytics. `workspace`: its customer id."""

    az: Az
    workspace: str
    pause: Callable[[float], None] = time.sleep

    def check(self, study: str) -> str:
        """That both records of the retrieval of a study are there, and that nothing holds a query. Raises Failed."""
        waited = 0.0
        while (found := self._actions(study)) != {"Executing", "Executed"}:
            if waited >= _TRAIL_SECONDS:
                raise Failed(
                    f"of the retrieval of a study the audit trail has {sorted(found) or 'nothing'}",
                    "records are dropped or sampled: host.json, the level of logs, the connection string of the app",
                )
            self.pause(20.0)
            waited += 20.0
        rows = self._query(
            "union AppRequests, AppDependencies | where TimeGenerated > ago(1h)"
            ' | extend at = strcat(column_ifexists("Url", ""), column_ifexists("Data", ""))'
            ' | where at has "/v2/" and at contains "?" | count'
        )
        if rows and int(next(iter(rows))["Count"]):
            raise Failed("telemetry of requests holds query strings", "the host's dependency tracking is on: host.json")
        return f"both records after {waited:.0f} s, and no query strings in telemetry"

    def _actions(self, study: str) -> set[str]:
        rows = self._query(
            "AppTraces | where TimeGenerated > ago(2h)"
            f' | where Message has "AuditEvent" and Message has "{study}" and Message has "retrieve"'
            " | extend record = parse_json(Message)"
            f' | where tostring(record.uri) endswith "/studies/{study}"'
            " | summarize by action = tostring(record.action)"
        )
        return {str(each["action"]) for each in rows} & {"Executing", "Executed"}

    def _query(self, query: str) -> list[dict[str, Any]]:
        place = ("--workspace", self.workspace, "--analytics-query", query)
        return list(self.az("monitor", "log-analytics", "query", *place) or ())
