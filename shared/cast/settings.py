"""dicomcast §5.4 The settings of DICOMcast. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.errors import Misconfigured
from shared.outgoing.settings import ServerSettings, server_settings
from shared.sections import Sections

_DEFAULT_PORTS = {"http": 80, "https": 443}
_NOT_MAPPED = frozenset({"settle_seconds", "total_retry_seconds", "replay_seconds", "message_seconds", "table_prefix"})
"""Settings that change nothing of what is written."""


@dataclass(frozen=True, slots=True)
class CastSettings:
    """The resources that are written, and the time at which they are."""

    base: str
    """Public address of the DICOMweb service, as `normalised_base` has it."""
    settle_seconds: int = 5
    patient_mode: str = "matchOrCreate"
    patient_update: str = "fillMissing"
    patient_update_foreign: bool = True
    patient_id_missing: str = "park"
    match_other_patient_ids: bool = False
    patient_system: str = ""
    issuer_is_used: bool = False
    issuers: Mapping[str, str] = field(default_factory=dict)
    """Systems by the text of an issuer."""
    on_patient_change: str = "relink"
    on_duplicate_study: str = "park"
    instances: str = "auto"
    instance_limit: int = 5000
    description_target: str = "both"
    deleted_study: str = "delete"
    modalities: str = "all"
    modality_system: str = ""
    """Overrides the system of modality codes; empty: that of DICOM's ontology."""
    zone: str = ""
    """IANA name of the time zone of studies that do not tell theirs."""
    accession_system: str = ""
    resolves_orders: bool = False
    most_entries: int = 400
    observations: bool = True
    observation_status: str = "auto"
    enforces_validation: bool = False
    ignores_parsing_errors: bool = False
    all_partitions: bool = False
    total_retry_seconds: float = 600.0
    replay_seconds: float = 6 * 3600.0
    message_seconds: int = 604_800
    table_prefix: str = ""

    @property
    def mapping_digest(self) -> str:
        """Changes with every setting that decides what is written."""
        shown = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _NOT_MAPPED}
        return hashlib.sha256(repr(sorted(shown.items())).encode()).hexdigest()[:16]


def fhir_settings(sections: Sections) -> ServerSettings:
    """The FHIR server. Raises Misconfigured."""
    return server_settings("FHIR", sections.below("Fhir"))


def dicom_settings(sections: Sections) -> ServerSettings | None:
    """The DICOMweb server whose studies are read; None: this service's own. Raises Misconfigured."""
    section = sections.below("DicomWeb")
    if section.choice("Source", ("own", "http"), "own") == "own":
        return None
    return server_settings(
        "DICOMweb", section, endpoint_key="PrivateEndpoint" if section.text("PrivateEndpoint") else "Endpoint"
    )


def cast_settings(sections: Sections) -> CastSettings:
    """The settings as they are given, by the profile where they are not. Raises Misconfigured."""
    cast, patient = sections.below("DicomCast"), sections.below("Patient")
    features = cast.below("Features")
    ms = cast.choice("Profile", ("default", "ms"), "default") == "ms"
    cast.choice("Mode", ("reconcile",), "reconcile")
    zone = cast.text("DefaultTimezone", "UTC" if ms else "")
    if zone:
        _check_zone(zone)
    prefix = sections.below("TableStore").text("TableNamePrefix")
    if prefix and not (prefix.isalnum() and prefix.isascii() and prefix[0].isalpha()):
        raise Misconfigured("TableStore:TableNamePrefix: letters and digits, a letter first")
    return CastSettings(
        base=normalised_base(sections.below("DicomWeb").required("Endpoint")),
        settle_seconds=cast.whole("SettleSeconds", 5, high=600),
        patient_mode=cast.choice("PatientMode", ("matchOrCreate", "matchOnly"), "matchOrCreate"),
        patient_update=cast.choice(
            "PatientUpdate",
            ("fillMissing", "nameAndGender", "all", "never"),
            "nameAndGender" if ms else "fillMissing",
        ),
        patient_update_foreign=cast.flag("PatientUpdateForeign", default=True),
        patient_id_missing=cast.choice("PatientIdMissing", ("park", "skipPatient"), "park"),
        match_other_patient_ids=cast.flag("MatchOtherPatientIds", default=False),
        patient_system=patient.text("PatientSystemId"),
        issuer_is_used=patient.flag("IsIssuerIdUsed", default=False),
        issuers=patient.text_map("IssuerMap"),
        on_patient_change=cast.choice("OnPatientChange", ("relink", "park"), "relink"),
        on_duplicate_study=cast.choice("OnDuplicateStudy", ("park", "oldest"), "park"),
        instances=cast.choice("IncludeInstances", ("all", "counts", "auto"), "auto"),
        instance_limit=cast.whole("InstanceLimit", 5000, low=1),
        description_target=cast.choice(
            "StudyDescriptionTarget", ("description", "note", "both"), "note" if ms else "both"
        ),
        deleted_study=cast.choice("DeletedStudyMode", ("delete", "cancelled"), "delete"),
        modalities=cast.choice("ModalityPolicy", ("all", "acquisition"), "all"),
        modality_system=cast.text("ModalityCodingSystem", "DCM" if ms else ""),
        zone=zone,
        accession_system=cast.text("AccessionSystem"),
        resolves_orders=cast.flag("ResolveOrders", default=False),
        most_entries=cast.whole("MaxBundleEntries", 400, low=4, high=10_000),
        observations=features.flag("GenerateObservations", default=True),
        observation_status=cast.choice("ObservationStatus", ("auto", "preliminary"), "preliminary" if ms else "auto"),
        enforces_validation=features.flag("EnforceValidationOfTagValues", default=False),
        ignores_parsing_errors=features.flag("IgnoreJsonParsingErrors", default=False),
        all_partitions=cast.choice("PartitionMode", ("default", "all"), "default") == "all",
        total_retry_seconds=sections.below("RetryConfiguration").seconds("TotalRetryDuration", 600.0),
        replay_seconds=cast.seconds("TransientReplayInterval", 6 * 3600.0),
        message_seconds=cast.whole("MessageTimeToLiveSeconds", 604_800, low=1),
        table_prefix=prefix,
    )


def normalised_base(address: str) -> str:
    """An address as it is compared: lower-case scheme and host, no default port, no slash at the end, no fragment.

    Empty for what is no address. (dicomcast §4.3)
    """
    try:
        parts = urlsplit(address.partition("#")[0])
        port = parts.port
    except ValueError:
        return ""
    if not parts.scheme or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{port}"
    return f"{parts.scheme}://{host}{shown}{parts.path}".rstrip("/")


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise Misconfigured("DicomCast:DefaultTimezone: is an IANA name such as Europe/Berlin") from None
