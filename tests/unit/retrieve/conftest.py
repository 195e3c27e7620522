import pytest

from tests.builders.reading import Answers
from tests.builders.retrieve import RetrieveService
from tests.builders.whole_service import whole_service


@pytest.fixture
def service():
    return RetrieveService()


@pytest.fixture(scope="module")
async def whole():
    """All transactions over stores in memory, for the tests of a module."""
    return await whole_service()


@pytest.fixture
def stored(whole):
    """Stores an image there: its answers in every form."""

    async def answers(one):
        found = Answers(whole, one)
        await found.store()
        return found

    return answers
