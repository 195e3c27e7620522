"""Which settings a deployment sets, and why it leaves out the others: each new setting is looked at once."""

PLATFORM = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "AZURE_CLIENT_ID",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsStorage__clientId",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__queueServiceUri",
    "AzureWebJobsStorage__tableServiceUri",
    "DicomStorage__credential",
}
"""Settings that host and SDKs read."""
DEFAULT_IS_RIGHT = {
    "CALLER_BYTES",
    "CALLER_REQUESTS",
    *("EXPORT_ENABLED", "EXPORT_PUBLIC_ALLOWED"),
    "TELEMETRY_SPANS_SAMPLED",
    *(
        "AUDIT_CLAIMS",
        "AUDIT_HEADER_PREFIX",
        "AUTHENTICATION_MODE",
        "AUTHENTICATION_ROLES",
        "AUTHENTICATION_ROLES_CLAIM",
    ),
    *("BULK_DATA_URIS", "CHARACTER_SET_AS_STORED", "CLEAR_PREAMBLE", "FULL_ITEM_VALIDATION", "METADATA_INLINE"),
    *("CORS_ALLOWED_HEADERS", "CORS_ALLOWED_METHODS", "CORS_ALLOW_CREDENTIALS", "CORS_MAX_AGE"),
    *(
        "DELETED_RETENTION_HOURS",
        "ERASURE_TWO_PERSONS",
        "AUDIT_FOLDER",
        "DICOM_CONTAINER",
        "DICOM_EVENTS_SCHEMA",
        "DICOM_IMAGE_EVENTS",
    ),
    *("HEALTH_CHECKS_EXCLUDED", "LOG_UIDS", "MAX_FILE_BYTES", "MAX_TRANSCODE_BYTES", "STUDY_ORDER", "WEB_EXTENSION"),
    *("HTTP_CONNECTIONS", "HTTP_HEAD_BYTES", "HTTP_IDLE_SECONDS", "HTTP_KEEP_ALIVE_SECONDS", "HTTP_TOTAL_SECONDS"),
    *("UI_ENABLED", "UI_PRIVATE_URLS", "VIEWER_FOLDER"),
    *("IMPORT_CONTAINER", "IMPORT_ERROR_CONTAINER", "IMPORT_ERROR_QUEUE", "IMPORT_QUEUE"),
    *(
        "ImportStorage__blobServiceUri",
        "ImportStorage__queueServiceUri",
        "PUBLIC_BASE_URL",
        "TRUST_FORWARDED_HEADERS",
        "ZIP_NAMES",
        "EXTENDED_QUERY_TAGS_MAXIMUM",
        "WORKITEM_RETENTION_DAYS",
        "ASYNCHRONOUS_OPERATIONS_ENABLED",
    ),
}
"""Reviewed: what a deployment leaves out because the default is what it needs."""
NEVER = {
    *("DICOM_EVENTS_TOPIC_KEY", "DicomStorage", "ImportStorage", "WORKLIST_NOTIFICATIONS_KEY"),  # keys
    *("WEBSITE_AUTH_ENABLED", "WEBSITE_HOSTNAME"),  # the platform's own
    "TABLE_SPREAD",  # for an emulator
}
