"""azure-apis §5 The operation that a path names. Pure."""

import re
from typing import Final

from shared.errors import InvalidRequest
from shared.http.messages import Request

_ID: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def operation_id(request: Request) -> str:
    """The id in the path, as it is stored (GEN-21, OP-2). Raises InvalidRequest."""
    text = request.route["operation"]
    if not _ID.fullmatch(text):
        raise InvalidRequest("The operation id is not a GUID.", where="path")
    return text.replace("-", "").lower()
