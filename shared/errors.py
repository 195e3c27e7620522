"""What can go wrong, in the words of the domain.

No status codes here: `shared.http.error_table` maps these classes, by their method resolution order, to responses.
A message is shown to the client, so it never holds a value of a patient attribute.
"""


class DicomServiceError(Exception):
    """Base of every failure that the service raises on purpose."""


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


class NotAcceptable(DicomServiceError):
    """No media type or transfer syntax that the client accepts can be produced (406)."""


class Conflict(DicomServiceError):
    """The request contradicts the present state (409)."""


class TooLarge(DicomServiceError):
    """The request, a part of it, or the work that it asks for exceeds a limit (413)."""


class UnsupportedMedia(DicomServiceError):
    """The content type of the request or of a part is not supported (415)."""


class DependencyRefused(DicomServiceError):
    """Customer-owned storage or key vault refused the operation (424)."""


class Unavailable(DicomServiceError):
    """A data store is unavailable or busy; the same request may succeed later (503)."""


class Misconfigured(DicomServiceError):
    """The settings contradict each other or the stored data; the service must not start."""
