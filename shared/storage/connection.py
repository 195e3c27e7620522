"""Endpoints of an account's blobs, tables and queues, and the credential of the service there."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.pipeline import PipelineResponse

from shared import telemetry
from shared.errors import Misconfigured

STORAGE_SCOPE = "https://storage.azure.com/.default"
"""The scope of a token for Azure Storage."""

_EMULATOR_ACCOUNT = "devstoreaccount1"
# Published by Microsoft for every emulator; it protects nothing.
_EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True, slots=True)
class SharedKey:
    """An account and its key (base64). Only for the emulator and development: it opens the whole account."""

    account: str
    key: str = field(repr=False)


EMULATOR = SharedKey(_EMULATOR_ACCOUNT, _EMULATOR_KEY)

type Credential = SharedKey | AsyncTokenCredential
"""An account key, or anything that hands out Entra ID tokens."""


@dataclass(frozen=True, slots=True)
class StorageConnection:
    """The endpoints of one storage account, without trailing slash, and the credential for them."""

    blob_endpoint: str
    table_endpoint: str
    queue_endpoint: str
    credential: Credential

    @classmethod
    def from_connection_string(cls, text: str) -> Self:
        """Read a storage connection string with an account key, or the emulator's short form.

        Raises Misconfigured; its text holds nothing of the connection string.
        """
        fields = {}
        for part in text.strip().split(";"):
            name, equals, value = part.strip().partition("=")
            if equals:
                fields[name.strip().lower()] = value.strip()
        if fields.get("usedevelopmentstorage", "").lower() == "true":
            proxy = fields.get("developmentstorageproxyuri", "http://127.0.0.1").rstrip("/")
            blob, queue, table = (f"{proxy}:{port}/{_EMULATOR_ACCOUNT}" for port in (10000, 10001, 10002))
            return cls(blob, table, queue, EMULATOR)
        account, key = fields.get("accountname", ""), fields.get("accountkey", "")
        if not account or not key:
            raise Misconfigured("The storage connection string needs AccountName and AccountKey")
        protocol = fields.get("defaultendpointsprotocol", "https")
        suffix = fields.get("endpointsuffix", "core.windows.net")
        blob, table, queue = (
            _endpoint(fields.get(f"{service}endpoint") or f"{protocol}://{account}.{service}.{suffix}")
            for service in ("blob", "table", "queue")
        )
        return cls(blob, table, queue, SharedKey(account, key))

    @classmethod
    def from_uris(cls, blob: str, table: str, queue: str, credential: AsyncTokenCredential) -> Self:
        """The endpoints of a deployment, where the service proves itself with a token. Raises Misconfigured."""
        return cls(_endpoint(blob), _endpoint(table), _endpoint(queue), credential)


QUICK_OPTIONS: Final[Mapping[str, Any]] = {
    "retry_total": 2,
    "retry_backoff_factor": 0.2,
    "retry_backoff_max": 1,
    "connection_timeout": 3,
    "read_timeout": 5,
    "use_env_settings": False,
}
"""Options of an SDK client whose messages are made again in time, if they are not taken at once. Times in seconds."""


def quiet_sdk_logs() -> None:
    """Keep the SDK from logging the URLs of its requests: blob names hold UIDs."""
    logging.getLogger("azure").setLevel(logging.WARNING)


def count_answer(answer: PipelineResponse[Any, Any]) -> None:
    """Count a request of an SDK client: its `raw_response_hook`, called for each answer, those repeated included."""
    request, response = answer.http_request, answer.http_response
    telemetry.count_storage(
        sent=_length(request.headers), received=0 if request.method == "HEAD" else _length(response.headers)
    )


def _length(headers: Mapping[str, str]) -> int:
    value = str(headers.get("Content-Length", ""))
    return int(value) if value.isdecimal() else 0


def _endpoint(uri: str) -> str:
    try:
        parts = urlsplit(uri)
        usable = parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment)
    except ValueError:  # brackets that hold no address
        usable = False
    if not usable:
        raise Misconfigured("A storage endpoint is an absolute http or https URI without query")
    return uri.rstrip("/")
