"""Cross-origin requests of browser viewers (HDR-5, HDR-6, CORS-1 to CORS-4)."""

from collections.abc import Sequence

from shared.http.messages import Request, Response

EXPOSED = (
    "ETag",
    "Location",
    "Content-Location",
    "Accept-Ranges",
    "Content-Range",
    "Warning",
    "erroneous-dicom-attributes",
    "api-supported-versions",
    "X-Request-Id",
)
"""Response headers that a viewer may read."""


class Cors:
    """One policy for all origins. Without origins no request gets a CORS header."""

    def __init__(
        self,
        *,
        origins: Sequence[str],
        methods: Sequence[str],
        headers: Sequence[str],
        max_age: int,
        credentials: bool,
    ) -> None:
        self._any = "*" in origins
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._methods = methods
        self._headers = headers
        self._max_age = max_age
        self._credentials = credentials

    def preflight(self, request: Request) -> Response | None:
        """The answer to a preflight, which needs no token; None if `request` is none.

        It is 204 with the policy if the origin is allowed, and 204 without it otherwise (CORS-3).
        """
        method = request.headers.get("access-control-request-method")
        if request.method != "OPTIONS" or method is None or request.headers.get("origin") is None:
            return None
        shared = self._shared(request)
        if not shared:
            return Response(204, self._vary())
        asked = request.headers.get("access-control-request-headers") or ""
        headers = [
            *shared,
            ("Access-Control-Allow-Methods", method if "*" in self._methods else ", ".join(self._methods)),
            ("Access-Control-Max-Age", str(self._max_age)),
        ]
        if allowed := asked if "*" in self._headers else ", ".join(self._headers):
            headers.append(("Access-Control-Allow-Headers", allowed))
        return Response(204, (*headers, *self._vary()))

    def headers(self, request: Request) -> tuple[tuple[str, str], ...]:
        """The headers that the response to an ordinary request adds."""
        if not self._origins:
            return ()
        shared = self._shared(request)
        exposed = (("Access-Control-Expose-Headers", ", ".join(EXPOSED)),) if shared else ()
        return (*shared, *exposed, *self._vary())

    def _shared(self, request: Request) -> tuple[tuple[str, str], ...]:
        origin = request.headers.get("origin")
        if origin is None or not (self._any or origin.lower() in self._origins):
            return ()
        if self._any:
            return (("Access-Control-Allow-Origin", "*"),)
        if self._credentials:
            return (("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"))
        return (("Access-Control-Allow-Origin", origin),)

    def _vary(self) -> tuple[tuple[str, str], ...]:
        return (("Vary", "Origin"),) if self._origins and not self._any else ()
