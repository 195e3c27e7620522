"""Every app setting: its name, its default and its rule. Nothing else reads the environment."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from shared import memory_plan
from shared.errors import Misconfigured
from shared.sections import Sections

_LOCAL = re.compile(r".*:[0-9]*|localhost|[0-9.]+|\[.*\]")
"""A name with a port, or an address: Azure's is a name alone."""
_ORIGIN = re.compile(r"(?!null$)[a-z][a-z0-9+.-]*://[^\s/?#@*\\]+/?", re.IGNORECASE)
"""Scheme, host and port: what browsers send as Origin. `null` is the origin of every file and sandboxed frame."""
_BASE_URL = re.compile(r"https?://(?:\[[0-9a-f:.]+\]|[^\s/?#@\\\[\]:]+)(?::[0-9]{1,5})?(?:/[^\s?#\\]*)?", re.IGNORECASE)
_EMULATOR = ("usedevelopmentstorage=true", "accountname=devstoreaccount1")

_MIB = 1024**2
_HOST_BODY_BYTES = 100 * _MIB
"""The largest body that the Functions host lets through where nothing else is said."""


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


type Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""A comma-separated list."""


class Settings(BaseModel):
    """The configuration of one deployment. Field aliases are the names of the app settings."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore")

    # --- where the data is
    storage_connection: str = Field("", alias="DicomStorage")
    """Connection string of the account that holds the data: development only; a deployment uses the three URIs."""
    blob_service_uri: str = Field("", alias="DicomStorage__blobServiceUri")
    table_service_uri: str = Field("", alias="DicomStorage__tableServiceUri")
    queue_service_uri: str = Field("", alias="DicomStorage__queueServiceUri")
    identity_client_id: str = Field("", alias="DicomStorage__clientId")
    """The user-assigned managed identity; empty: the default credential chain."""
    container: str = Field("dicom", alias="DICOM_CONTAINER")
    index_shards: int = Field(16, ge=1, le=256, alias="INDEX_SHARDS")
    """Shards of the search index; fixed when the store is first used (storage §2). On an emulator the default is 1."""
    table_spread: int = Field(1, ge=1, le=256, alias="TABLE_SPREAD")
    """Physical tables per kind, fixed likewise, for an emulator, which scans a table for each query: 64 there, by
    default, and 1 on Azure, always."""

    # --- what the service does
    data_partitions: bool = Field(False, alias="DATA_PARTITIONS_ENABLED")
    max_request_bytes: int = Field(100 * _MIB, gt=0, alias="MAX_REQUEST_BYTES")
    """Largest body of a request (STOW-8, P-4)."""
    host_body_bytes: int = Field(_HOST_BODY_BYTES, gt=0, alias="FUNCTIONS_REQUEST_BODY_SIZE_LIMIT")
    """The same of the Functions host, which reads it too: greater by a MiB, so that the refusal is this service's."""
    instance_memory_mib: int = Field(0, ge=0, alias="INSTANCE_MEMORY_MB")
    """Memory of an instance of the app, by which the limits of a deployment are checked; 0: not checked."""
    http_concurrency: int = Field(0, ge=0, alias="HTTP_CONCURRENCY")
    """Requests that the platform gives to one instance at a time; 0: not checked."""
    max_file_bytes: int = Field(2_147_483_647, gt=0, alias="MAX_FILE_BYTES")
    clear_preamble: bool = Field(True, alias="CLEAR_PREAMBLE")
    full_item_validation: bool = Field(False, alias="FULL_ITEM_VALIDATION")
    bulk_data_uris: bool = Field(True, alias="BULK_DATA_URIS")
    """Emit BulkDataURI in v2 metadata (W-3)."""
    character_set_as_stored: bool = Field(False, alias="CHARACTER_SET_AS_STORED")
    """Return (0008,0005) as stored instead of the encoding of the response (D-7)."""
    zip_names: Literal["attributes", "uid"] = Field("attributes", alias="ZIP_NAMES")
    """The kind of names of files in a zip archive: patient, series, modality and numbers, or UIDs alone (ZIP-2)."""
    study_order: Literal["stored", "StudyDate", "-StudyDate"] = Field("stored", alias="STUDY_ORDER")
    """The order of studies in a search that names none: as they were first stored, newest first, or by StudyDate
    (B-23)."""
    extended_query_tags: int = Field(128, ge=0, le=128, alias="EXTENDED_QUERY_TAGS_MAXIMUM")
    """The greatest number of extended query tags (EQT-20)."""
    asynchronous_operations: bool = Field(True, alias="ASYNCHRONOUS_OPERATIONS_ENABLED")
    """Let clients start operations; off: adding extended query tags is refused (EQT-1)."""
    metadata_inline: bool = Field(True, alias="METADATA_INLINE")
    max_transcode_bytes: int = Field(104_857_600, gt=0, alias="MAX_TRANSCODE_BYTES")
    """Largest object whose pixels are converted: transcoded, or rendered (WADO-12, REND-6)."""
    transcode_memory_bytes: int = Field(memory_plan.PIXELS, gt=0, alias="TRANSCODE_MEMORY_BYTES")
    """Memory of one worker process for all pixels that are being converted."""
    deleted_retention_hours: float = Field(72, ge=0, alias="DELETED_RETENTION_HOURS")
    workitem_retention_days: float = Field(0, ge=0, alias="WORKITEM_RETENTION_DAYS")
    """Days that a workitem stays that is completed or canceled, from when it was last written (WK-7); 0: for ever."""
    erasure_two_persons: bool = Field(True, alias="ERASURE_TWO_PERSONS")
    """The erasure of a patient waits until another caller confirms it (PHI-12); without sign-in there is no other."""
    audit_folder: str = Field("", alias="AUDIT_FOLDER")
    """A folder into which audit records are written, too, and from which access reports are made (PHI-2); empty: the
    log alone has them."""
    account_retention_days: int = Field(0, ge=0, alias="ACCOUNT_RETENTION_DAYS")
    """Days for which the account keeps blobs that were deleted, set by the deployment: results of erasures say so."""

    # --- bulk import
    bulk_import: bool = Field(False, alias="BULK_IMPORT_ENABLED")
    """Store files that are dropped into the import container (IMP-1)."""
    import_connection: str = Field("", alias="ImportStorage")
    """Connection string of the account with the import container, for development; a deployment uses the two URIs.
    None of them: the account that holds the data."""
    import_blob_service_uri: str = Field("", alias="ImportStorage__blobServiceUri")
    import_queue_service_uri: str = Field("", alias="ImportStorage__queueServiceUri")
    import_container: str = Field("import-container", alias="IMPORT_CONTAINER")
    import_error_container: str = Field("error-container", alias="IMPORT_ERROR_CONTAINER")
    import_queue: str = Field("import-queue", alias="IMPORT_QUEUE")
    """Where Event Grid announces new files of the import container."""
    import_error_queue: str = Field("error-queue", alias="IMPORT_ERROR_QUEUE")

    # --- export
    export: bool = Field(True, alias="EXPORT_ENABLED")
    """Answer `POST /export` (XPT-1)."""
    export_destinations: Words = Field((), alias="EXPORT_DESTINATIONS")
    """Accounts and containers that exports may be sent to, by URL: `https://account.blob.core.windows.net/container`,
    an account without a container for all of them, `https://*.blob.core.windows.net` for any account. Empty: none."""
    export_signatures: bool = Field(False, alias="EXPORT_SAS_ALLOWED")
    """A client may name a container by a shared access signature (XPT-8); it needs SECRET_STORE."""
    export_public: bool = Field(False, alias="EXPORT_PUBLIC_ALLOWED")
    """A client may name a container without any credentials (XPT-9)."""
    secret_store: str = Field("", alias="SECRET_STORE")
    """Where secrets of clients rest while they are needed: the https URI of a key vault; for development the file URI
    of a folder. Empty: what has secrets is refused (XPT-12)."""
    host_storage_uri: str = Field("", alias="AzureWebJobsStorage__blobServiceUri")
    """The blobs of the Functions host, set by the deployment: no destination of exports unless it is listed by name."""

    # --- who may do what
    authentication: Literal["openid", "platform", "off"] = Field("openid", alias="AUTHENTICATION_MODE")
    authority: str = Field("", alias="AUTHENTICATION_AUTHORITY")
    audiences: Words = Field((), alias="AUTHENTICATION_AUDIENCES")
    roles_claim: str = Field("roles", alias="AUTHENTICATION_ROLES_CLAIM")
    roles_document: str = Field("", alias="AUTHENTICATION_ROLES")
    """JSON text of the roles document (AUTH-11); empty: the default roles (AUTH-16)."""
    platform_authentication: bool = Field(False, alias="WEBSITE_AUTH_ENABLED")
    """Set by the platform itself, and by nobody else: it alone makes the platform's principal header trustworthy."""
    audit_header_prefix: str = Field("X-MS-AZUREDICOM-AUDIT-", min_length=1, alias="AUDIT_HEADER_PREFIX")
    audit_claims: Words = Field(("sub", "oid", "azp", "appid", "roles"), alias="AUDIT_CLAIMS")
    """The claims of a caller that audit records name (AUD-2)."""
    audit_query_values: Literal["keep", "hash", "drop"] = Field("keep", alias="AUDIT_QUERY_VALUES")
    """The part of the values in a query string, which can name patients, that audit records keep (AUD-7)."""

    # --- the edge
    public_base_url: str = Field("", alias="PUBLIC_BASE_URL")
    """Scheme, host and path base of URLs in responses, when a gateway stands in front."""
    website_hostname: str = Field("", alias="WEBSITE_HOSTNAME")
    """Set by the platform: the host name under which the app is reached."""
    trust_forwarded_headers: bool = Field(False, alias="TRUST_FORWARDED_HEADERS")
    web_extension: Literal["own", "fastapi"] = Field("own", alias="WEB_EXTENSION")
    """The HTTP server of the worker: this project's, or Microsoft's package, which goes with the next release."""
    http_head_bytes: int = Field(64 * 1024, ge=48 * 1024, alias="HTTP_HEAD_BYTES")
    """Largest request line with its header fields; never less than the Functions host lets through."""
    http_idle_seconds: float = Field(120, gt=0, alias="HTTP_IDLE_SECONDS")
    """The longest pause of an upload, or of a client that reads."""
    http_total_seconds: float = Field(4 * 3600, gt=0, alias="HTTP_TOTAL_SECONDS")
    """The longest time of a request and its answer together."""
    http_keep_alive_seconds: float = Field(180, gt=0, alias="HTTP_KEEP_ALIVE_SECONDS")
    """The longest wait of a connection of the Functions host for its next request."""
    http_connections: int = Field(1000, gt=0, alias="HTTP_CONNECTIONS")
    """Connections of one worker process."""
    caller_requests: int = Field(0, ge=0, alias="CALLER_REQUESTS")
    """Requests that one caller may have in progress in one worker process (THR-2); 0: any number."""
    caller_bytes: int = Field(0, ge=0, alias="CALLER_BYTES")
    """Bytes of the bodies of those requests, as far as they say their length; 0: any number."""
    cors_origins: Words = Field((), alias="CORS_ALLOWED_ORIGINS")
    cors_methods: Words = Field(
        ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"), alias="CORS_ALLOWED_METHODS"
    )
    cors_headers: Words = Field(
        ("accept", "authorization", "content-type", "if-none-match", "if-range", "range"),
        alias="CORS_ALLOWED_HEADERS",
    )
    cors_max_age: int = Field(3600, ge=0, alias="CORS_MAX_AGE")
    cors_credentials: bool = Field(False, alias="CORS_ALLOW_CREDENTIALS")

    # --- pages for browsers
    ui: bool = Field(True, alias="UI_ENABLED")
    """Serve the pages below /ui/ (VIEW-1)."""
    ui_client_id: str = Field("", alias="UI_CLIENT_ID")
    """The client that the authority knows the pages by; a public one, without a secret (VIEW-9)."""
    ui_scopes: str = Field("openid profile offline_access", alias="UI_SCOPES")
    """Scopes that the pages ask the authority for, separated by spaces; most authorities want one of this API, too."""
    ui_private_urls: bool = Field(True, alias="UI_PRIVATE_URLS")
    """Keep what somebody searches for by name or number of a patient out of the address bar (VIEW-2)."""

    viewer: bool = Field(True, alias="VIEWER_ENABLED")
    """Serve OHIF Viewer below /ui/viewer/, where its files are present (VIEW-4)."""
    viewer_folder: str = Field("", alias="VIEWER_FOLDER")
    """Where they are, as `scripts/setup-viewer` has prepared them; empty: `viewer` beside the app."""

    # --- events and telemetry
    events_topic: str = Field("", alias="DICOM_EVENTS_TOPIC")
    """Endpoint of the Event Grid custom topic; empty: no events, the timer sweep alone sequences changes."""
    events_topic_key: str = Field("", alias="DICOM_EVENTS_TOPIC_KEY")
    """Access key of the topic: development only; a deployment uses the managed identity."""
    events_schema: Literal["cloudevents", "eventgrid"] = Field("cloudevents", alias="DICOM_EVENTS_SCHEMA")
    """The schema that the topic was created with: CloudEvents 1.0, or Event Grid's own."""
    events_source: str = Field("", alias="DICOM_EVENTS_SOURCE")
    """The source that events name, for instance the resource id of the topic; empty: the topic's endpoint."""
    image_events: bool = Field(True, alias="DICOM_IMAGE_EVENTS")
    """Publish an event for each instance that is stored, changed or deleted, where there is a topic. What changes while
    it is off is never published (EVT-3).
    """
    notifications_endpoint: str = Field("", alias="WORKLIST_NOTIFICATIONS_ENDPOINT")
    """Endpoint of the Web PubSub resource that carries event reports of the worklist; empty: no subscriptions."""
    notifications_key: str = Field("", alias="WORKLIST_NOTIFICATIONS_KEY", repr=False)
    """Access key of that resource: development only; a deployment uses the managed identity."""
    health_checks_excluded: Words = Field((), alias="HEALTH_CHECKS_EXCLUDED")
    """Names of health checks that do not count (HC-3)."""
    telemetry_level: Literal["", "INFO", "WARNING", "ERROR"] = Field("", alias="TELEMETRY_LEVEL")
    """From which level on telemetry is logged, a line per transaction being INFO; empty: as the host logs the rest."""
    telemetry_export: Literal["off", "applicationinsights"] = Field("off", alias="TELEMETRY_EXPORT")
    """Where counters and spans go (TEL-1); off costs nothing."""
    telemetry_sampled: float = Field(0.05, ge=0, le=1, alias="TELEMETRY_SPANS_SAMPLED")
    """The share of transactions whose spans are sent; counters are never sampled."""
    application_insights: str = Field("", alias="APPLICATIONINSIGHTS_CONNECTION_STRING", repr=False)
    """Set by the deployment; the host uses it too."""
    log_uids: bool = Field(False, alias="LOG_UIDS")
    """Log UIDs as they are instead of hashed."""
    _sections: Sections = PrivateAttr(default_factory=lambda: Sections({}))

    @model_validator(mode="before")
    @classmethod
    def _shape_of_an_emulator(cls, values: Any) -> Any:
        """The defaults for an emulator: never written into settings that go to Azure by accident."""
        connection = str(values.get("DicomStorage") or values.get("storage_connection") or "").lower()
        if any(each in connection.replace(" ", "") for each in _EMULATOR):
            for name, alias, value in (("index_shards", "INDEX_SHARDS", 1), ("table_spread", "TABLE_SPREAD", 64)):
                if name not in values and alias not in values:
                    values = {**values, alias: value}
        return values

    @model_validator(mode="after")
    def _deployable(self) -> Self:
        if self.table_spread > 1 and (self.table_service_uri or "=https" in self.storage_connection.lower()):
            raise ValueError("TABLE_SPREAD is for the emulator: on Azure it is 1")
        if self.on_platform and self.authentication == "off":
            raise ValueError("AUTHENTICATION_MODE=off is for development: it is refused on Azure")
        if self.on_platform and self.secret_store and not self.secret_store.startswith("https://"):
            raise ValueError("SECRET_STORE must be a key vault: files are for development")
        if self.on_platform and self.host_body_bytes < self.max_request_bytes + _MIB:
            raise ValueError(
                "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT must be at least 1 MiB (1048576) more than MAX_REQUEST_BYTES: the "
                "host would end a request that is too large without a word"
            )
        bodies = memory_plan.BODY_COST * self.max_request_bytes * self.http_concurrency
        if self.instance_memory_mib and bodies > self.instance_memory_mib * _MIB - memory_plan.BESIDE_BODIES:
            raise ValueError(
                f"MAX_REQUEST_BYTES x {memory_plan.BODY_COST} x HTTP_CONCURRENCY must be at most INSTANCE_MEMORY_MB "
                f"less {memory_plan.BESIDE_BODIES // _MIB} MiB: bodies take it before anybody is asked for a token"
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.authentication == "openid" and not (self.authority and self.audiences):
            raise ValueError(
                "AUTHENTICATION_AUTHORITY and AUTHENTICATION_AUDIENCES are required; "
                "AUTHENTICATION_MODE=off switches authentication off for development"
            )
        if self.authentication == "platform" and not self.platform_authentication:
            raise ValueError("AUTHENTICATION_MODE=platform needs the platform's authentication to be on")
        if self.telemetry_export != "off" and not self.application_insights:
            raise ValueError("TELEMETRY_EXPORT=applicationinsights needs APPLICATIONINSIGHTS_CONNECTION_STRING")
        if self.public_base_url and not _BASE_URL.fullmatch(self.public_base_url):
            raise ValueError(
                "PUBLIC_BASE_URL must be an http or https URL without query, such as https://dicom.example"
            )
        if odd := next((each for each in self.cors_origins if each != "*" and not _ORIGIN.fullmatch(each)), None):
            raise ValueError(f"CORS_ALLOWED_ORIGINS: '{odd}' is no origin such as https://viewer.example, and no *")
        if self.cors_credentials and "*" in self.cors_origins:
            raise ValueError("CORS_ALLOW_CREDENTIALS cannot be combined with the origin *")
        if bool(self.import_blob_service_uri) != bool(self.import_queue_service_uri):
            raise ValueError("ImportStorage__blobServiceUri and ImportStorage__queueServiceUri belong together")
        if len({self.container, self.import_container, self.import_error_container}) < 3:
            raise ValueError("DICOM_CONTAINER, IMPORT_CONTAINER and IMPORT_ERROR_CONTAINER must differ")
        if self.import_queue == self.import_error_queue:
            raise ValueError("IMPORT_QUEUE and IMPORT_ERROR_QUEUE must differ")
        if not self.storage_connection and not (
            self.blob_service_uri and self.table_service_uri and self.queue_service_uri
        ):
            raise ValueError("DicomStorage, or DicomStorage__blobServiceUri, __tableServiceUri and __queueServiceUri")
        return self

    @property
    def sections(self) -> Sections:
        """The settings that stand in sections, such as `Fhir__Endpoint`: each package reads those that are its own."""
        return self._sections

    @property
    def dicomcast(self) -> bool:
        """Whether DICOMcast is on (`DicomCast__Enabled`). Raises Misconfigured."""
        return self._sections.below("DicomCast").flag("Enabled", default=False)

    @property
    def host(self) -> str:
        """The host name, with its port if it has one, under which clients know the service (azure-apis §9.2)."""
        return urlsplit(self.public_base_url).netloc or self.website_hostname or "localhost"

    @property
    def on_platform(self) -> bool:
        """Whether the app runs on Azure: the hosts of a developer's machine name the port that they listen on."""
        return bool(self.website_hostname) and not _LOCAL.fullmatch(self.website_hostname)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings from `environment`. Empty values count as not set. Raises Misconfigured."""
        try:
            settings = cls.model_validate({key: value for key, value in environment.items() if value})
        except ValidationError as error:
            # Not the error's own text: it quotes the input, and with it keys.
            faults = (f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}" for fault in error.errors())
            raise Misconfigured("; ".join(faults)) from None
        settings._sections = Sections.of(environment)  # noqa: SLF001 - it is of this class
        return settings
