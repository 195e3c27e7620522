"""Shares as clients see them (SHR-1, SHR-4, SHR-8). Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from shared.dicom.media_types import FHIR_JSON, JSON_UTF_8
from shared.dicomweb.urls import Urls
from shared.http.messages import Response
from shared.shares.model import Share
from shared.shares.transaction import ListedShare, MadeShare

_HEADERS: Final = (("Content-Type", JSON_UTF_8), ("Cache-Control", "no-store"))
_LISTED: Final = 10
"""Studies of a share that a list names."""


def made(new: MadeShare, urls: Urls) -> Response:
    """201, with the token that is shown this once."""
    share = new.share
    body = {"id": share.id, "url": link(new, urls), "token": new.token, "expires": _time(share.expires)}
    headers = (("Location", f"{urls.root}/shares/{share.id}"), *_HEADERS)
    return Response(201, headers, orjson.dumps(body))


def link(new: MadeShare, urls: Urls) -> str:
    """The address for a browser. The token is in the fragment, which browsers send to nobody."""
    told = {"partition": urls.partition} if urls.partition is not None else {}
    if not new.share.downloads:
        told["download"] = "false"  # so that the pages offer none
    return f"{urls.base}/ui/#/share/{new.token}{f'?{urlencode(told)}' if told else ''}"


def listed(shares: Iterable[ListedShare]) -> Response:
    """The shares without their tokens."""
    return Response(200, _HEADERS, orjson.dumps([_shown(each) for each in shares]))


def clinical(bundle: Mapping[str, Any]) -> Response:
    """The clinical data of a share."""
    return Response(200, (("Content-Type", FHIR_JSON), ("Cache-Control", "no-store")), orjson.dumps(bundle))


def _shown(listed: ListedShare) -> dict[str, Any]:
    share = listed.share
    return {
        "id": share.id,
        **({"label": share.label} if share.label else {}),
        "selection": _selection(share),
        "created": _time(share.created),
        "expires": _time(share.expires),
        "download": share.downloads,
        "ehr": share.clinical.value,
        "deidentified": share.deidentified,
        **({"copy": listed.copy, "operation": share.operation} if share.deidentified else {}),
        **({"recipient": share.recipient} if share.recipient else {}),
        "uses": share.uses,
        **({"lastUse": _time(share.last_use)} if share.last_use else {}),
    }


def _selection(share: Share) -> dict[str, Any]:
    if share.studies is None:
        return {"partition": True}
    found: dict[str, Any] = {"studies": list(share.studies[:_LISTED]), "count": len(share.studies)}
    if share.series:
        found["series"] = list(share.series[:_LISTED])
    return {"cohort": share.cohort, **found} if share.cohort else found


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
