"""`make run AUTH=1`: the service with an OpenID provider beside it."""

import pytest
from aiohttp import ClientSession

from tests.conftest import FreshService


@pytest.mark.spec("AUTH-1", "AUTH-2", "AUTH-14")
async def test_each_user_may_do_what_the_name_says_and_nobody_else_anything(fresh_service: FreshService) -> None:
    service = await fresh_service(options=["--sign-in"])
    study = f"{service.url}/v2/studies/1.2.3"

    async with ClientSession() as client:

        async def statuses(token: str) -> list[int]:
            found = []
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            for method, url in (("GET", study), ("POST", f"{service.url}/v2/studies"), ("DELETE", study)):
                async with client.request(
                    method, url, headers={**headers, "Content-Type": "application/dicom"}
                ) as response:
                    found.append(response.status)
            return found

        outcomes = {user: await statuses(token) for user, token in service.tokens.items()}
        nobody = await statuses("")

    reader, writer, owner = (outcomes[user] for user in ("reader", "writer", "owner"))
    assert nobody == [401, 401, 401]
    assert reader == [404, 403, 403]
    assert writer[0] == owner[0] == 404
    assert writer[1] == owner[1] not in (401, 403)
    assert (writer[2], owner[2]) == (403, 404)
