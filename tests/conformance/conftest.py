"""Clients of the service under test."""

import pytest

from tests.conformance.exchange import Exchange


@pytest.fixture
def v1(service):
    """Version 1."""
    return Exchange(service.url, "v1")


@pytest.fixture
def v2(service):
    """Version 2."""
    return Exchange(service.url, "v2")
