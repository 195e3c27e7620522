"""Every key of DICOMcast, its default, and both profiles."""

from dataclasses import fields

import pytest

from shared.cast.settings import CastSettings, cast_settings, dicom_settings, fhir_settings
from shared.errors import Misconfigured
from shared.sections import Sections

LEAST = {"DicomWeb__Endpoint": "https://Imaging.example.org/v2/"}
KEYS = {
    "DicomCast__SettleSeconds": ("settle_seconds", "7", 7),
    "DicomCast__PatientMode": ("patient_mode", "matchonly", "matchOnly"),
    "DicomCast__PatientUpdate": ("patient_update", "all", "all"),
    "DicomCast__PatientUpdateForeign": ("patient_update_foreign", "false", False),
    "DicomCast__PatientIdMissing": ("patient_id_missing", "skipPatient", "skipPatient"),
    "DicomCast__MatchOtherPatientIds": ("match_other_patient_ids", "true", True),
    "Patient__PatientSystemId": ("patient_system", "urn:oid:1", "urn:oid:1"),
    "Patient__IsIssuerIdUsed": ("issuer_is_used", "true", True),
    "Patient__IssuerMap": ("issuers", '{"A": "urn:oid:2"}', {"A": "urn:oid:2"}),
    "DicomCast__OnPatientChange": ("on_patient_change", "park", "park"),
    "DicomCast__OnDuplicateStudy": ("on_duplicate_study", "oldest", "oldest"),
    "DicomCast__IncludeInstances": ("instances", "counts", "counts"),
    "DicomCast__InstanceLimit": ("instance_limit", "9", 9),
    "DicomCast__StudyDescriptionTarget": ("description_target", "note", "note"),
    "DicomCast__DeletedStudyMode": ("deleted_study", "cancelled", "cancelled"),
    "DicomCast__ModalityPolicy": ("modalities", "acquisition", "acquisition"),
    "DicomCast__ModalityCodingSystem": ("modality_system", "DCM", "DCM"),
    "DicomCast__DefaultTimezone": ("zone", "Europe/Berlin", "Europe/Berlin"),
    "DicomCast__AccessionSystem": ("accession_system", "urn:oid:3", "urn:oid:3"),
    "DicomCast__ResolveOrders": ("resolves_orders", "true", True),
    "DicomCast__MaxBundleEntries": ("most_entries", "50", 50),
    "DicomCast__Features__GenerateObservations": ("observations", "false", False),
    "DicomCast__ObservationStatus": ("observation_status", "preliminary", "preliminary"),
    "DicomCast__Features__EnforceValidationOfTagValues": ("enforces_validation", "true", True),
    "DicomCast__Features__IgnoreJsonParsingErrors": ("ignores_parsing_errors", "true", True),
    "DicomCast__PartitionMode": ("all_partitions", "all", True),
    "RetryConfiguration__TotalRetryDuration": ("total_retry_seconds", "00:20:00", 1200.0),
    "DicomCast__TransientReplayInterval": ("replay_seconds", "00:00:00", 0.0),
    "DicomCast__MessageTimeToLiveSeconds": ("message_seconds", "30", 30),
    "TableStore__TableNamePrefix": ("table_prefix", "old", "old"),
}


def read(**environment: str) -> CastSettings:
    return cast_settings(Sections.of({**LEAST, **environment}))


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_read_from_the_environment(key: str) -> None:
    name, text, value = KEYS[key]
    assert getattr(read(), name) != value
    assert getattr(read(**{key: text}), name) == value
    assert getattr(read(**{key.upper(): text}), name) == value


def test_no_setting_is_without_a_key() -> None:
    assert {each.name for each in fields(CastSettings)} == {name for name, *_ in KEYS.values()} | {"base"}


def test_defaults_are_those_of_the_specification() -> None:
    assert read() == CastSettings("https://imaging.example.org/v2")


@pytest.mark.spec("B-7")
def test_the_profile_of_the_archived_dicomcast_sets_five_things() -> None:
    ms = read(DicomCast__Profile="ms")
    changed = {
        each.name: getattr(ms, each.name) for each in fields(ms) if getattr(ms, each.name) != getattr(read(), each.name)
    }
    assert changed == {
        "zone": "UTC",
        "description_target": "note",
        "observation_status": "preliminary",
        "modality_system": "DCM",
        "patient_update": "nameAndGender",
    }
    assert read(DicomCast__Profile="ms", DicomCast__PatientUpdate="never").patient_update == "never"


@pytest.mark.parametrize(
    "wrong",
    [
        {"DicomCast__DefaultTimezone": "Middle/Earth"},
        {"DicomCast__Mode": "events"},
        {"DicomCast__PatientMode": "guess"},
        {"TableStore__TableNamePrefix": "1-x"},
        {"Patient__IssuerMap": "[1]"},
        {"DicomCast__MaxBundleEntries": "1"},
    ],
)
def test_a_wrong_value_names_its_key(wrong: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match=next(iter(wrong)).replace("__", ":")):
        read(**wrong)


def test_a_missing_endpoint_is_told() -> None:
    with pytest.raises(Misconfigured, match="DicomWeb:Endpoint: is required"):
        cast_settings(Sections.of({}))
    with pytest.raises(Misconfigured, match="Fhir:Endpoint: is required"):
        fhir_settings(Sections.of(LEAST))


def test_traffic_takes_the_private_way_and_resources_name_the_public_one() -> None:
    more = {"DicomWeb__Source": "http", "DicomWeb__PrivateEndpoint": "https://inside.test/v2"}
    sections = Sections.of({**LEAST, **more, "DicomWeb__Authentication__Enabled": "false"})
    server = dicom_settings(sections)
    assert server is not None
    assert (server.endpoint, cast_settings(sections).base) == (
        "https://inside.test/v2",
        "https://imaging.example.org/v2",
    )
    assert dicom_settings(Sections.of(LEAST)) is None


def test_only_what_changes_resources_changes_the_digest() -> None:
    assert read(DicomCast__SettleSeconds="9").mapping_digest == read().mapping_digest
    assert read(DicomCast__ModalityPolicy="acquisition").mapping_digest != read().mapping_digest
