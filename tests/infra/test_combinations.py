"""Parameters of a deployment in combinations that no variant has: each is refused with a reason, or the app loads."""

import random
from pathlib import Path

import pytest

from scripts.bicep.rendering import BicepError
from scripts.bicep.variants import main_deployment
from shared.settings import Settings
from tests.builders.mutation import noise, rounds
from tests.infra import contract

INFRA = Path(__file__).parents[2] / "infra"
ON_OR_OFF = ("true", "false")
SIGN_IN = (
    {"DICOM_AUTH_CLIENT_ID": "client"},
    {"DICOM_CREATE_ENTRA_APPLICATION": "true"},
    {"DICOM_CREATE_ENTRA_APPLICATION": "true", "DICOM_APP_ROLES": "DICOM.Radiologist"},
    {"DICOM_AUTH_AUTHORITY": "https://id.example/", "DICOM_AUTH_AUDIENCES": "a,b"},
)
CHOICES = {
    "DICOM_DATA_REPLICATION": ("Standard_LRS", "Standard_ZRS", "Standard_GRS", "Standard_RAGZRS"),
    "DICOM_ERASURE_MODE": ("protect", "erase"),
    "DICOM_SOFT_DELETE_DAYS": ("1", "30", "365"),
    "DICOM_AUDIT_QUERY_VALUES": ("keep", "hash", "drop"),
    "DICOM_TELEMETRY_LEVEL": ("", "INFO", "WARNING"),
    "DICOM_MAX_REQUEST_MIB": ("1", "50", "100", "200"),
    "DICOM_INSTANCE_MEMORY_MB": ("2048", "4096"),
    "DICOM_HTTP_CONCURRENCY": ("1", "2", "4", "8", "16"),
    "DICOM_ALERT_EMAIL": ("", "operators@example.org"),
    "DICOM_FHIR_ENDPOINT": ("", "https://fhir.example"),
    "DICOM_PATIENT_ID_SYSTEM": ("", "urn:oid:1.2.3"),
    "DICOM_CORS_ALLOWED_ORIGINS": ("", "*", "https://a.example,https://b.example"),
    "DICOM_EXPORT_DESTINATIONS": ("", "https://*.blob.core.windows.net"),
    "DICOM_OPERATOR_GROUP_ID": ("", "operators"),
    **dict.fromkeys(
        (
            *("DICOM_DELETE_LOCK", "DICOM_CUSTOMER_MANAGED_KEY", "DICOM_DATA_PARTITIONS", "DICOM_BULK_IMPORT"),
            *("DICOM_EXPORT_SECRETS", "DICOM_PRIVATE_NETWORK", "DICOM_WORKLIST", "DICOM_STORAGE_DIAGNOSTICS"),
            *("DICOM_VIEWER", "DICOM_CAST", "DICOM_EXPORT_COUNTERS"),
        ),
        ON_OR_OFF,
    ),
}
REASONS = ("Memory:", "Sign-in:")
"""What may be wrong with them."""


def problems(environment: dict[str, str]) -> list[str]:
    """What is wrong with a deployment that is not refused."""
    try:
        deployment = main_deployment(INFRA, environment)
    except BicepError as error:
        return [] if any(reason in str(error) for reason in REASONS) else [str(error)]
    values = contract.app_settings(deployment)
    loaded = Settings.from_environment({**values, "WEBSITE_HOSTNAME": "func-dicom.azurewebsites.example"})
    grants = {contract.grant(each) for each in deployment.of("Microsoft.Authorization/roleAssignments")}
    closed = environment["DICOM_PRIVATE_NETWORK"] == "true"
    rules = {
        "somebody lacks a role": grants >= contract.GRANTS,
        "an account is open": not closed
        or {
            each.at("properties.networkAcls.defaultAction")
            for each in deployment.of("Microsoft.Storage/storageAccounts")
        }
        == {"Deny"},
        "partitions": loaded.data_partitions == (environment["DICOM_DATA_PARTITIONS"] == "true"),
        "import": loaded.bulk_import == (environment["DICOM_BULK_IMPORT"] == "true"),
        "secrets": bool(loaded.secret_store) == (environment["DICOM_EXPORT_SECRETS"] == "true"),
        "query values": loaded.audit_query_values == environment["DICOM_AUDIT_QUERY_VALUES"],
    }
    return [
        *contract.settings_problems("this", loaded, values, deployment),
        *(x for x, holds in rules.items() if not holds),
    ]


def combination(chance: random.Random) -> dict[str, str]:
    return {**chance.choice(SIGN_IN), **{name: chance.choice(choices) for name, choices in CHOICES.items()}}


@pytest.mark.parametrize("number", range(12))
def test_a_combination_is_refused_with_a_reason_or_its_app_loads(number):
    environment = combination(random.Random(number))

    assert problems(environment) == [], environment


@pytest.mark.nightly
def test_a_night_of_combinations():
    chance = noise()
    for _ in range(rounds(500)):
        environment = combination(chance)
        assert problems(environment) == [], environment
