"""Absolute URLs in responses (URL-10, GEN-40 to GEN-43): the client's scheme, host, version segment and partition."""

import re
from dataclasses import dataclass, replace

from shared.dicom.identifiers import InstanceIdentifier, trim_uid
from shared.errors import InvalidRequest

_HOST = re.compile(r"[A-Za-z0-9._~\-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
_PREFIX = re.compile(r"/[A-Za-z0-9._~\-/%$@]*")


@dataclass(frozen=True, slots=True)
class Urls:
    """The URLs of one request's answer.

    `base` is scheme, host and path base without a trailing slash. `prefix`, where a trusted proxy has set one, stands
    for the version and partition segments (GEN-41).
    """

    base: str
    version_segment: str
    partition: str | None
    prefix: str | None = None

    @property
    def root(self) -> str:
        """The beginning of every resource's URL."""
        if self.prefix is not None:
            return f"{self.base}{self.prefix}"
        middle = f"/partitions/{self.partition}" if self.partition is not None else ""
        return f"{self.base}/{self.version_segment}{middle}"

    def within(self, partition: str | None) -> "Urls":
        """The same for resources of a data partition, or of the service as a whole."""
        return replace(self, partition=partition)

    def operation(self, operation_id: str) -> str:
        """URL of an operation, which belongs to no partition (OP-10)."""
        return f"{self.within(None).root}/operations/{operation_id}"

    def tag_errors(self, path: str) -> str:
        """URL of the errors of an extended query tag, which belongs to no partition (EQT-46)."""
        return f"{self.within(None).root}/{tag_resource(path)}/errors"

    def workitem(self, uid: str) -> str:
        """URL of a workitem (WC-6)."""
        return f"{self.root}/workitems/{uid}"

    def worklist_rule(self, rule_id: str) -> str:
        """URL of a worklist rule (AIX-2)."""
        return f"{self.root}/worklist-rules/{rule_id}"

    def study(self, uid: str) -> str:
        """URL of a study."""
        return f"{self.root}/studies/{trim_uid(uid)}"

    def series(self, study: str, series: str) -> str:
        """URL of a series."""
        return f"{self.root}/studies/{trim_uid(study)}/series/{trim_uid(series)}"

    def instance(self, identifier: InstanceIdentifier) -> str:
        """URL of an instance."""
        series = self.series(identifier.study_instance_uid, identifier.series_instance_uid)
        return f"{series}/instances/{trim_uid(identifier.sop_instance_uid)}"

    def frame(self, identifier: InstanceIdentifier, number: int) -> str:
        """URL of a frame; the first one is 1."""
        return f"{self.instance(identifier)}/frames/{number}"

    def bulk_data(self, identifier: InstanceIdentifier, path: str) -> str:
        """URL of a bulk value; `path` as in BULK-1."""
        return f"{self.instance(identifier)}/bulkdata/{path}"


def tag_resource(path: str) -> str:
    """The extended query tag of a path, relative to the version segment, as operations name it (OP-10)."""
    return f"extendedquerytags/{path}"


def first(value: str | None) -> str | None:
    """The first entry of a forwarded header: proxies append theirs."""
    return value.partition(",")[0].strip() or None if value else None


def base_url(scheme: str, host: str, public: str, forwarded: tuple[str | None, str | None] | None) -> str:
    """Scheme, host and path base of URLs in responses, without a trailing slash.

    `public` is the configured public base URL and wins if it is set, but for the host that a trusted proxy names.
    `forwarded` holds X-Forwarded-Proto and X-Forwarded-Host, or is None when they are not trusted (GEN-43).
    Raises InvalidRequest if the host cannot stand in a URL.
    """
    proto, proxy_host = (first(value) for value in forwarded) if forwarded else (None, None)
    if public and not proxy_host:
        return public.rstrip("/")
    scheme = proto if proto in {"http", "https"} else scheme
    host = proxy_host or host
    if not _HOST.fullmatch(host):
        raise InvalidRequest("The host of the request is invalid.", where="header Host")
    return f"{scheme}://{host}"


def forwarded_prefix(value: str | None) -> str | None:
    """The path prefix of a trusted proxy, without a trailing slash. Raises InvalidRequest if it is no path."""
    prefix = first(value)
    if prefix is None:
        return None
    if not _PREFIX.fullmatch(prefix):
        raise InvalidRequest("The forwarded prefix is invalid.", where="header X-Forwarded-Prefix")
    return prefix.rstrip("/")
