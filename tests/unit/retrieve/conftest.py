import pytest

from tests.builders.retrieve import RetrieveService


@pytest.fixture
def service():
    return RetrieveService()
