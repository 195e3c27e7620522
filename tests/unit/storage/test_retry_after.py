"""When a client is told to come back."""

import pytest

from shared.errors import Unavailable
from shared.http.error_table import error_response
from shared.storage.azure_tables import retry_after
from shared.storage.http_answer import StorageResponse


@pytest.mark.spec("THR-1")
def test_the_storage_service_says_when_to_come_back() -> None:
    def told(value: str) -> int:
        return retry_after(StorageResponse(503, {"retry-after": value} if value else {}, b""))

    assert [told(value) for value in ("12", "0", "9999", "soon", "")] == [12, 0, 300, 0, 0]
    error = Unavailable("busy", fields=(("Retry-After", "12"),))
    assert ("Retry-After", "12") in error_response(error, request_id="r", problem=False, challenge="").headers
