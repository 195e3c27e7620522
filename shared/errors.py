"""The errors of the service, in the words of the domain.

No status codes here: `shared.http.error_table` maps these classes, by their method resolution order, to responses.
A message is shown to the client, so it never holds a value of a patient attribute.
"""


class DicomServiceError(Exception):
    """Base of every failure that the service raises on purpose.

    `text` says what is wrong. `where`: which part of the request it is about, such as `header Range`; `remedy`: what
    its sender can do; both have general values by the class. `fields`: header fields that say the same to programs.
    """

    def __init__(
        self, text: str = "", *, where: str = "", remedy: str = "", fields: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(*((text,) if text else ()))
        self.where = where
        self.remedy = remedy
        self.fields = fields


class InvalidRequest(DicomServiceError):
    """The request is malformed or asks for something that is not defined (400)."""


class InvalidUid(InvalidRequest):
    """A UID in a path or body breaks PS3.5 §9.1 as far as the service enforces it (UID-1)."""


class MissingCredentials(DicomServiceError):
    """No token, or one that does not verify (401)."""


class Forbidden(DicomServiceError):
    """The caller is known but lacks the data action (403)."""


class NotFound(DicomServiceError):
    """The study, series, instance, frame or other resource does not exist (404)."""


class Gone(DicomServiceError):
    """The resource was there and has been removed for good (410)."""


class NotAcceptable(DicomServiceError):
    """No media type or transfer syntax that the client accepts can be produced (406)."""


class Conflict(DicomServiceError):
    """The request contradicts the present state (409)."""


class TooLarge(DicomServiceError):
    """The request, a part of it, or the work that it asks for exceeds a limit (413)."""


class UnsupportedMedia(DicomServiceError):
    """The content type or content coding of the request, or of a part of it, is not supported (415)."""


class RangeUnsatisfiable(DicomServiceError):
    """The range begins behind the end of the `size` bytes that there are (416; RFC 9110 §15.5.17)."""

    def __init__(self, size: int) -> None:
        super().__init__(
            "The requested range begins behind the end.",
            remedy=f"Ask for a range within the {size} bytes that there are, or leave the header out.",
            fields=(("Content-Range", f"bytes */{size}"), ("Accept-Ranges", "bytes")),
        )
        self.size = size


class DependencyRefused(DicomServiceError):
    """Customer-owned storage or key vault refused the operation (424)."""


class NotInRelease(DicomServiceError):
    """An API of the standard, or of the server that this one succeeds, which this release does not have (501)."""


class ShareUsedUp(DicomServiceError):
    """The caller uses all of the service that one caller may use at a time (429)."""


class TooManyAttempts(DicomServiceError):
    """Too many credentials that were not valid have come from the same address (429)."""


class Unavailable(DicomServiceError):
    """A data store is unavailable or busy; the same request may succeed later (503)."""


class Misconfigured(DicomServiceError):
    """The settings contradict each other or the stored data; the service must not start."""
