"""What a deployment may be configured to, and what its start refuses."""

import pytest

from shared.errors import Misconfigured
from shared.settings import Settings

EMULATOR = {"DicomStorage": "UseDevelopmentStorage=true", "AUTHENTICATION_MODE": "off"}
AZURE = {
    "DicomStorage__blobServiceUri": "https://dicom.blob.core.windows.net/",
    "DicomStorage__tableServiceUri": "https://dicom.table.core.windows.net/",
    "DicomStorage__queueServiceUri": "https://dicom.queue.core.windows.net/",
    "AUTHENTICATION_AUTHORITY": "https://login.example/tenant/v2.0",
    "AUTHENTICATION_AUDIENCES": "api://dicom",
    "WEBSITE_HOSTNAME": "dicom.azurewebsites.net",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": str(101 * 1024**2),
}
MIB = 1024**2


def read(*environments, **more):
    values = {}
    for environment in (*environments, more):
        values.update(environment)
    return Settings.from_environment(values)


def test_a_store_on_an_emulator_is_shaped_for_it_unless_something_else_is_said():
    def shape(settings):
        return settings.index_shards, settings.table_spread

    key = "AccountName=devstoreaccount1;AccountKey=a2V5;TableEndpoint=http://127.0.0.1:10002/devstoreaccount1"

    assert shape(read(EMULATOR)) == shape(read(EMULATOR, DicomStorage=key)) == (1, 64)
    assert shape(read(EMULATOR, INDEX_SHARDS="16", TABLE_SPREAD="8")) == (16, 8)
    assert shape(read(AZURE)) == (16, 1)


@pytest.mark.parametrize(
    "account", [AZURE, {**EMULATOR, "DicomStorage": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5"}]
)
def test_tables_are_spread_on_an_emulator_only(account):
    with pytest.raises(Misconfigured, match="TABLE_SPREAD is for the emulator"):
        read(account, TABLE_SPREAD="64")


@pytest.mark.spec("AUTH-4")
def test_authentication_cannot_be_switched_off_on_azure():
    assert read(EMULATOR, WEBSITE_HOSTNAME="localhost:7071").authentication == "off"
    with pytest.raises(Misconfigured, match="AUTHENTICATION_MODE=off is for development"):
        read(AZURE, AUTHENTICATION_MODE="off")


@pytest.mark.spec("P-4")
def test_a_request_that_is_too_large_is_refused_by_the_service_and_not_by_its_host():
    assert read(AZURE).max_request_bytes == 100 * MIB
    with pytest.raises(Misconfigured, match="FUNCTIONS_REQUEST_BODY_SIZE_LIMIT must be at least 1 MiB"):
        read(AZURE, MAX_REQUEST_BYTES=str(100 * MIB + 1))
    with pytest.raises(Misconfigured, match="FUNCTIONS_REQUEST_BODY_SIZE_LIMIT must be at least 1 MiB"):
        read(AZURE, FUNCTIONS_REQUEST_BODY_SIZE_LIMIT="")


@pytest.mark.spec("P-4")
@pytest.mark.parametrize(
    ("memory", "concurrency", "limit", "fits"),
    [(4096, 8, 100, True), (4096, 9, 100, False), (2048, 2, 100, True), (2048, 4, 100, False), (0, 900, 100, True)],
)
def test_bodies_that_nobody_has_asked_for_a_token_yet_fit_into_an_instance(memory, concurrency, limit, fits):
    sizes = {
        "INSTANCE_MEMORY_MB": str(memory),
        "HTTP_CONCURRENCY": str(concurrency),
        "MAX_REQUEST_BYTES": str(limit * MIB),
    }
    if fits:
        assert read(AZURE, sizes).http_concurrency == concurrency
    else:
        with pytest.raises(Misconfigured, match="MAX_REQUEST_BYTES x 4 x HTTP_CONCURRENCY"):
            read(AZURE, sizes)


def test_what_a_refusal_says_holds_no_secret():
    with pytest.raises(Misconfigured) as refused:
        read(EMULATOR, DicomStorage="AccountKey=c2VjcmV0;AccountName=a", TABLE_SPREAD="x")
    assert "c2VjcmV0" not in str(refused.value)
