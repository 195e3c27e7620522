"""host.json and app settings."""

import json
from pathlib import Path
from typing import Any

import pytest

from devhost.settings import (
    Unusable,
    connection_of,
    needs_emulator,
    read_host_json,
    read_settings,
    resolved,
    seconds_of,
    settings_file,
    with_secrets,
    with_storage,
)


def _write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_host_json_has_the_defaults_of_the_real_host(tmp_path: Path) -> None:
    _write(tmp_path / "host.json", {"version": "2.0"})
    options = read_host_json(tmp_path, {})
    assert (options.route_prefix, options.function_timeout, options.extension_bundle) == ("api", 1800, False)
    assert (options.queues.batch_size, options.queues.max_dequeue_count, options.queues.base64) == (16, 5, True)
    assert (options.blob_parallelism, options.blob_tries) == (8, 5)


def test_host_json_is_read_and_settings_override_it(tmp_path: Path) -> None:
    content = {
        "version": "2.0",
        "functionTimeout": "-1",
        "extensionBundle": {"id": "bundle"},
        "extensions": {
            "http": {"routePrefix": "/x/"},
            "queues": {"maxDequeueCount": 2, "maxPollingInterval": "00:00:02", "messageEncoding": "none"},
        },
    }
    _write(tmp_path / "host.json", content)
    options = read_host_json(tmp_path, {"AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "7"})
    assert (options.route_prefix, options.function_timeout, options.extension_bundle) == ("x", None, True)
    assert (options.queues.max_dequeue_count, options.queues.max_polling_interval) == (7, 2)
    assert not options.queues.base64


@pytest.mark.parametrize("content", ["{", "[]", '{"version": "1.0"}', '{"version": "2.0", "functionTimeout": "soon"}'])
def test_a_host_json_that_cannot_be_used_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "host.json").write_text(content)
    with pytest.raises(Unusable):
        read_host_json(tmp_path, {})


def test_a_directory_without_host_json_is_no_app(tmp_path: Path) -> None:
    with pytest.raises(Unusable):
        read_host_json(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:30:00", 1800), ("1.00:00:01", 86_401), ("00:00:00.5", 0.5), ("10:00:00", 36_000)]
)
def test_time_spans_are_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


def test_the_local_settings_come_before_the_sample_and_the_environment_before_both(tmp_path: Path) -> None:
    assert settings_file(tmp_path) is None
    sample = _write(tmp_path / "local.settings.sample.json", {"Values": {"A": "sample", "B": "sample"}})
    assert settings_file(tmp_path) == sample
    local = _write(tmp_path / "local.settings.json", {"Values": {"A": "local", "B": "local"}})
    assert settings_file(tmp_path) == local
    assert read_settings(local, {"B": "environment"}) == {"A": "local", "B": "environment"}
    assert read_settings(None, {"B": "environment"}) == {"B": "environment"}


@pytest.mark.parametrize("content", [{"Values": {"A": 1}}, {"Values": []}, {"IsEncrypted": True, "Values": {}}])
def test_settings_that_cannot_be_used_are_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(Unusable):
        read_settings(_write(tmp_path / "settings.json", content), {})


def test_names_in_bindings_are_replaced_by_settings() -> None:
    assert resolved("%A%/x/{name}", {"A": "container"}) == "container/x/{name}"
    with pytest.raises(Unusable, match="NONE"):
        resolved("%NONE%", {})


def test_a_connection_is_a_setting_with_or_without_the_prefix_of_the_host() -> None:
    assert connection_of("", {"AzureWebJobsStorage": "a"}) == "a"
    assert connection_of("X", {"AzureWebJobsX": "b"}) == "b"
    with pytest.raises(Unusable, match="X"):
        connection_of("X", {})


def test_development_storage_becomes_the_emulator_that_runs() -> None:
    settings = {
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "DicomStorage": "UseDevelopmentStorage=true;",
        "X": "1",
    }
    assert needs_emulator(settings)
    replaced = with_storage(settings, "connection")
    assert replaced == {"AzureWebJobsStorage": "connection", "DicomStorage": "connection", "X": "1"}
    assert not needs_emulator(replaced)


def test_secrets_rest_below_the_data_unless_a_setting_names_their_store(tmp_path: Path) -> None:
    assert with_secrets({"SECRET_STORE": ""}, tmp_path)["SECRET_STORE"] == (tmp_path / "secrets").as_uri()
    assert with_secrets({"SECRET_STORE": "file:///elsewhere"}, tmp_path)["SECRET_STORE"] == "file:///elsewhere"
