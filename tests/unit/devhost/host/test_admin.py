"""The host's own paths are for this machine."""

from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request

from devhost.host.admin import Admin, from_this_machine
from devhost.worker.pool import WorkerCommand, WorkerPool


def _request(path: str, client: str, server: str):
    transport = Mock()
    transport.get_extra_info = {"peername": (client, 50_000), "sockname": (server, 7071)}.get
    return make_mocked_request("GET", path, transport=transport)


@pytest.mark.parametrize(
    ("client", "server", "here"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "::1", True),
        ("192.0.2.2", "192.0.2.2", True),
        ("192.0.2.3", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2", False),
    ],
)
def test_a_client_is_on_this_machine_when_its_address_is(client: str, server: str, here: bool) -> None:
    assert from_this_machine(_request("/", client, server)) is here


@pytest.mark.parametrize("path", ["/admin/host/status", "/Admin/functions", "/runtime/webhooks/blobs"])
async def test_other_machines_find_none_of_the_paths(tmp_path, path: str) -> None:
    admin = Admin({}, WorkerPool(WorkerCommand(tmp_path, {}), 1, None), lambda: True)

    refused = await admin(_request(path, "192.0.2.3", "192.0.2.2"), path)

    assert refused is not None
    assert refused.status == 404


async def test_this_machine_is_told_the_state(tmp_path) -> None:
    admin = Admin({}, WorkerPool(WorkerCommand(tmp_path, {}), 1, None), lambda: True)

    answered = await admin(_request("/admin/host/status", "127.0.0.1", "127.0.0.1"), "/admin/host/status")

    assert answered is not None
    assert answered.status == 200
