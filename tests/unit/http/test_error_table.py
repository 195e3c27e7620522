import pytest

from shared import errors
from shared.errors import DicomServiceError, InvalidUid
from shared.http.error_table import TABLE, error_response, status_of
from shared.http.routing import MethodNotAllowed, UnsupportedVersion
from shared.storage.ports import Ambiguous, BlobNotFound


@pytest.mark.spec("ERR-1")
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequest("x"), 400),
        (InvalidUid("x"), 400),
        (UnsupportedVersion("x"), 400),
        (errors.MissingCredentials(), 401),
        (errors.Forbidden("x"), 403),
        (errors.NotFound("x"), 404),
        (MethodNotAllowed(("GET",)), 405),
        (errors.NotAcceptable("x"), 406),
        (errors.Conflict("x"), 409),
        (errors.TooLarge("x"), 413),
        (errors.UnsupportedMedia("x"), 415),
        (errors.DependencyRefused("x"), 424),
        (errors.Unavailable("x"), 503),
        (Ambiguous("x"), 503),
        (BlobNotFound("x"), 500),
        (errors.Misconfigured("x"), 500),
        (KeyError("x"), 500),
    ],
)
def test_each_error_has_its_status(error, status):
    assert status_of(error) == status
    assert error_response(error, request_id="r", problem=False, challenge="c").status == status


def test_every_error_that_a_request_can_raise_is_in_the_table():
    raised = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, DicomServiceError) and kind is not DicomServiceError
    }

    assert {kind.__name__ for kind in raised if not any(base in TABLE for base in kind.__mro__)} == {"Misconfigured"}


@pytest.mark.spec("ERR-4")
@pytest.mark.parametrize(
    "error", [errors.Unavailable("account key"), RuntimeError("account key"), Ambiguous("account key")]
)
@pytest.mark.parametrize("problem", [False, True])
def test_a_server_error_never_shows_its_text(error, problem):
    body = error_response(error, request_id="r-1", problem=problem, challenge="c").body

    assert b"account key" not in body
    assert b"r-1" in body
