"""Clients of the service under test."""

import pytest

from tests.conformance.exchange import Exchange
from tests.conformance.stores import Client


@pytest.fixture
def v1(service):
    """Version 1."""
    return Exchange(service.url, "v1")


@pytest.fixture
def v2(service):
    """Version 2."""
    return Exchange(service.url, "v2")


@pytest.fixture(params=["v1", "v2"])
def either(service, request):
    """Each version."""
    return Exchange(service.url, request.param)


@pytest.fixture
def store_v1(service):
    """Stores in version 1."""
    return Client(service.url, "v1")


@pytest.fixture
def store_v2(service):
    """Stores in version 2."""
    return Client(service.url, "v2")


@pytest.fixture(params=["v1", "v2"])
def client(service, request):
    """Stores in each version."""
    return Client(service.url, request.param)
