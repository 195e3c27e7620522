import pytest

from tests.unit.retrieve.room import Service


@pytest.fixture
def service():
    return Service()
